"""The report: whole, self-contained, well-formed, and its numbers are those of the results."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from report.reading import Page, drawings
from report.synthetic import demo

from edgeseq.bench.stats import summarise
from edgeseq.report.demo import DemoResult
from edgeseq.report.html import render
from edgeseq.report.html.look import growth
from edgeseq.report.numbers import scientific, short


@pytest.fixture(scope="module")
def result() -> DemoResult:
    return demo()


@pytest.fixture(scope="module")
def page(result: DemoResult) -> str:
    return render(result)


def test_every_section_is_there(page: str) -> None:
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == ["All variants", "Figures", "Claims", "Methods"]
    figures = re.findall(r"<figure><h3>(.*?)</h3><svg", page)
    assert figures == [
        "Accuracy against size", "Latency distribution", "Latency per variant",
        "Latency against position", "Memory per variant", "CPU time per variant", "Drift",
        "Confusion, LSTM int8", "Confusion, Transformer step",
    ]  # fmt: skip
    assert len(page.encode()) < 250_000


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    for _, attributes in parsed.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import", page)
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_links_lead_somewhere(page: str) -> None:
    tags = Page(page).tags
    ids = {attributes.get("id") for _, attributes in tags}
    for _, attributes in tags:
        assert (attributes.get("href") or "#claim-edge").removeprefix("#") in ids


def test_drawings_are_well_formed_and_say_what_they_show(page: str) -> None:
    svg = "{http://www.w3.org/2000/svg}"
    drawn = drawings(page)
    assert len(drawn) == 9
    for drawing in drawn:
        assert drawing.get("role") == "img"
        assert drawing.findtext(f"{svg}title")
        assert drawing.findtext(f"{svg}desc")
        width, height = map(float, drawing.get("viewBox").split()[2:])
        for words in drawing.iter(f"{svg}text"):
            assert -1 <= float(words.get("x")) <= width
            assert 0 < float(words.get("y")) <= height
        assert "nan" not in ElementTree.tostring(drawing, "unicode").lower().replace("variant", "")


def test_the_table_shows_the_numbers_of_the_results(result: DemoResult, page: str) -> None:
    parsed = Page(page)
    for model, family in zip(result.models, ("LSTM", "Transformer"), strict=True):
        for variant in model.variants:
            star = " preferred" if variant.name == model.preferred else ""
            row = next(
                row for row in parsed.rows if row and row[0] == f"{family} {variant.name}{star}"
            )
            assert row[1:] == [
                f"{variant.accuracy.value:.1f}",
                short(variant.file_kib),
                short(variant.hot.p50_us),
                short(variant.hot.p99_us),
                short(variant.paced.step.p50_us),
                short(variant.paced.step.p99_us),
                short(variant.memory.peak_rss_mib),
                short(variant.memory.attributable_rss_mib),
                short(variant.paced.cpu_seconds_per_hour),
                scientific(variant.parity.relative_error),
                f"{growth(variant.parity):.2f}",
                "0.23 %" if variant.precision == "int8" else "0 %",
                "10,000",
            ]  # fmt: skip
    assert parsed.row("random forest")[1] == "86.9"


def test_the_headline_and_the_verdicts(result: DemoResult, page: str) -> None:
    latency = result.model("lstm").shipped.paced.step.p50_us
    assert f"An LSTM answers each frame in {latency:.0f} µs, a Transformer in" in page
    assert "accuracy cannot tell them apart" in page
    for claim in result.claims:
        assert claim.hypothesis in page
        for part in claim.parts:
            assert part.rule in page
    assert "A frame holds 4 of the sensor's 50 samples a second, so 12.5 steps" in page
    assert "CUDA: not measured; this ONNX Runtime has no CUDA provider" in page


def test_what_was_not_measured_is_spelled_out(result: DemoResult) -> None:
    def bare(model):
        variants = tuple(
            replace(variant, accuracy=None, confusion=(), parity=None, hot=None, paced=None,
                    memory=None, cold=None)
            for variant in model.variants
        )  # fmt: skip
        return replace(model, variants=variants, promises=())

    models = tuple(bare(model) for model in result.models)
    empty = replace(
        result, models=models, positions=(), harness=None, pace_settings=None, claims=(),
        task=replace(result.task, baselines={}),
    )  # fmt: skip
    page = render(empty)
    row = Page(page).row("LSTM int8")
    assert row[1] == "not measured"
    assert row[2] == "63.2"
    assert set(row[3:]) == {"not measured"}
    assert "latency was not measured" in page
    assert "None" not in page
    drawings(page)


def test_hostile_names_are_only_text(result: DemoResult) -> None:
    evil = '<script>alert("1")</script>'
    labels = (evil, *result.task.labels[1:])
    model = replace(result.models[0], family=evil, preferred_because=evil, description=evil)
    page = render(
        replace(
            result,
            models=(model, result.models[1]),
            task=replace(result.task, name=evil, summary=evil, labels=labels),
            commands=(f"edgeseq demo --task {evil}",),
        )
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    Page(page)
    assert len(drawings(page)) == 9


def test_rising_errors_are_not_called_steady(result: DemoResult) -> None:
    model = result.models[0]
    parity = replace(model.shipped.parity, drift=(1e-3, 1e-3, 2e-3, 3e-3))
    variants = (model.variants[0], replace(model.shipped, parity=parity))
    page = render(replace(result, models=(replace(model, variants=variants), result.models[1])))
    assert "Errors rise: LSTM int8." in page
    assert "Errors do not add up." in render(result)


def test_a_forecast_has_no_confusion_and_its_own_unit(result: DemoResult) -> None:
    def forecast(model):
        variants = tuple(
            replace(
                variant, confusion=(),
                accuracy=replace(variant.accuracy, metric="MAE mg/dL", value=12.34),
            )
            for variant in model.variants
        )  # fmt: skip
        return replace(model, variants=variants)

    page = render(replace(result, models=tuple(forecast(model) for model in result.models)))
    assert "MAE mg/dL 12.3" in page
    assert "Confusion" not in page


def test_a_busy_machine_is_told(result: DemoResult) -> None:
    assert "distrust the tails" not in render(result)
    busy = replace(result, machine=replace(result.machine, load_1m=1.1))
    assert "Something else was running: distrust the tails" in render(busy)


def test_a_tail_does_not_press_the_curves_together(result: DemoResult) -> None:
    def stalled(model, longest_ns=4_000_000_000):
        times = (model.shipped.hot.samples_us * 1e3).astype(np.int64)
        times[times.argmax()] = longest_ns
        hot = summarise(times)
        variants = tuple(
            replace(variant, hot=hot) if variant.name == model.preferred else variant
            for variant in model.variants
        )
        return replace(model, variants=variants)

    def picture(models) -> str:
        return re.search(
            r"<h3>Latency distribution</h3>(<svg.*?</svg>)",
            render(replace(result, models=models)), re.DOTALL,
        )[1]  # fmt: skip

    usual = [stalled(model, longest_ns=90_000) for model in result.models]
    assert picture(tuple(map(stalled, result.models))) == picture(tuple(usual))
