"""The page of many results: every mark lies where its number says, and nothing is mixed up."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.reading import SVG, Drawn, Page, figures, steps
from report.synthetic import bench_result, machine, measured

from edgeseq.bench.breakdown import Breakdown
from edgeseq.bench.stats import summarise
from edgeseq.measured import Accuracy
from edgeseq.report.html import bars, cdf, scatter
from edgeseq.report.html.chart import Chart
from edgeseq.report.html.results import render, stacks
from edgeseq.report.html.results.pareto import COSTS, SIZE, groups, tradeoff
from edgeseq.report.html.results.series import FEW, series
from edgeseq.report.html.results.series import source as source_of
from edgeseq.report.html.results.traces import COLUMNS, traces
from edgeseq.report.numbers import short
from edgeseq.report.results import Run

ONE = bench_result()
NAMES = ("fp32", "int8", "step", "step-int8", "int8-per-tensor", "step-int8-per-tensor")


def twelve():
    """Return two models with six variants each, their scores in no order."""
    scores = np.random.default_rng(0).normal(88, 0.6, 12).round(2)
    found = []
    for model, slower in (("har-lstm", 0), ("har-transformer", 31)):
        for place, name in enumerate(NAMES):
            number = len(found)
            item = measured(name, 14 + 6.3 * place + slower, 200 - 25 * place, number + 1)
            accuracy = replace(item.accuracy, value=float(scores[number]))
            found.append(replace(item, name=f"{model}/{name}", bundle=model, accuracy=accuracy))
    return tuple(found)


@pytest.fixture(scope="module")
def laptop():
    return Run("A", "laptop.json", replace(ONE, variants=twelve()))


@pytest.fixture(scope="module")
def board():
    emulated = replace(
        ONE, status="emulated", is_device=False, device="raspberry-pi-4",
        machine=replace(machine(), board="Raspberry Pi 4 Model B", architecture="aarch64"),
    )  # fmt: skip
    return Run("B", "pi.json", emulated)


@pytest.fixture(scope="module")
def page(laptop, board):
    return render((laptop, board))


def drawn(page, title, run="A"):
    """Return the drawing with this title of one result."""
    found = [
        drawing for name, below, drawing in figures(page)
        if name == title and re.search(rf"</span> {run}: ", below)
    ]  # fmt: skip
    assert len(found) == 1, f"{title}: {len(found)}"
    return found[0]


def test_it_is_whole_and_small(laptop, page):
    Page(page)
    assert len(render((laptop,)).encode()) < 400_000
    heads = re.findall(r"<h2>(.*?)</h2>", page)
    assert heads == ["What there is", "What accuracy costs", "A: laptop.json", "B: pi.json"]
    own = ["Latency, hot", "Latency, paced at 100 Hz", "Memory of the process",
           "Memory that the model adds", "After a pause", "Frames in one call",
           "Paced, step by step"]  # fmt: skip
    costs = [f"Accuracy against {cost.title}" for cost in COSTS]
    titles = [title for title, _, _ in figures(page)]
    assert titles == ["Accuracy against size", *costs, *costs, *own, *own]


def test_nothing_is_loaded_from_anywhere(page):
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    for _, attributes in parsed.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#result-A").removeprefix("#") in ids
    assert not re.search(r"url\(|@import", page)
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_drawings_say_what_they_show_and_stay_inside(page):
    for title, _, drawing in figures(page):
        assert drawing.root.findtext(f"{SVG}title") in title
        assert drawing.root.findtext(f"{SVG}desc")
        for words in drawing.root.iter(f"{SVG}text"):
            assert -1 <= float(words.get("x")) <= 441
            assert 0 < float(words.get("y")) <= drawing.height
    assert not re.search(r"\bnan\b|\binf\b", page)


def test_every_figure_names_its_status_and_never_mixes_results(page):
    for title, below, drawing in figures(page):
        names = drawing.words("name")
        letters = {name[0] for name in names}
        sources = set(re.findall(r'<span class="status (\w+)">\1</span> (\w+): ', below))
        if title == "Accuracy against size":
            assert sources == {("measured", "A"), ("emulated", "B")}
            continue
        assert len(sources) == 1, title
        ((status, letter),) = sources
        assert letters == {letter}, title
        assert status == {"A": "measured", "B": "emulated"}[letter]


def test_the_status_stands_in_every_row_of_figures(page):
    rows = [row for row in Page(page).rows if re.fullmatch(r"[AB]\d+ (?:mea|emu)\w+", row[0])]
    assert [row[0] for row in rows] == [
        *(f"A{n} measured" for n in range(1, 13)), "B1 emulated", "B2 emulated",
    ]  # fmt: skip


@pytest.mark.parametrize("cost", [SIZE, *COSTS], ids=lambda cost: cost.title)
def test_points_lie_where_their_values_say(laptop, cost):
    (group,) = groups([laptop])
    figure = tradeoff(group, cost, group.members, source_of(laptop))
    drawing = Drawn(figure.drawing)
    x, y = drawing.axis("x", log=cost.log), drawing.axis("y")
    for item in series(laptop):
        point = drawing.tip(f"{item.name}: window accuracy %")
        assert x.at(float(point.get("cx"))) == pytest.approx(cost.value(item.variant), rel=0.01)
        assert y.at(float(point.get("cy"))) == pytest.approx(item.variant.accuracy.value, abs=0.01)
        assert f"{item.mark}</b> {item.variant.name}" in figure.legend


def beats(ours, theirs, *, higher):
    better = ours[1] >= theirs[1] if higher else ours[1] <= theirs[1]
    return ours[0] <= theirs[0] and better and ours != theirs


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 9).map(lambda n: 20.0 * n), st.integers(80, 86).map(float)),
        min_size=1, max_size=12,
    ),
    st.booleans(),
)  # fmt: skip
def test_the_front_is_what_nothing_beats(pairs, higher):
    base = ONE.variants[0]
    variants = tuple(
        replace(
            base, name=f"v{n}", file_kib=kib,
            accuracy=Accuracy("score", value, higher, 300),
        )
        for n, (kib, value) in enumerate(pairs)
    )  # fmt: skip
    run = Run("A", "r.json", replace(ONE, variants=variants))
    (group,) = groups([run])
    figure = tradeoff(group, SIZE, group.members, source_of(run))
    expected = {
        f"A{n + 1}"
        for n, pair in enumerate(pairs)
        if not any(beats(other, pair, higher=higher) for other in pairs)
    }
    said = re.search(r"No other beats (.*)\.", figure.caption)[1].split(", ")
    assert set(said) == expected
    assert len(said) == len(expected)
    drawing = Drawn(figure.drawing)
    lines = drawing.marked("path", "front")
    assert len(lines) == (len(expected) > 1)
    if lines:
        corners = steps(lines[0])
        for mark in expected:
            point = drawing.tip(f"{mark} v")
            at = float(point.get("cx")), float(point.get("cy"))
            assert any(np.allclose(at, corner, atol=0.06) for corner in corners)


def test_only_one_task_and_one_metric_share_a_figure(laptop, board):
    glucose = replace(
        board.result.variants[0], name="glucose", task="glucose",
        accuracy=Accuracy("MAE mg/dL", 14.8, False, 9000),
    )  # fmt: skip
    blind = replace(board.result.variants[1], accuracy=None)
    other = replace(board, result=replace(board.result, variants=(glucose, blind)))
    found = groups([laptop, other])
    assert [(g.task, g.metric, len(g.members)) for g in found] == [
        ("har", "window accuracy %", 12), ("glucose", "MAE mg/dL", 1), ("har", None, 1),
    ]  # fmt: skip
    page = render((laptop, other))
    assert "not measured: B2 int8</p>" in page
    assert "B1" in drawn(page, "Accuracy against size", "B").words("name")
    assert "Left and lower is better. No other beats B1." in page


@pytest.mark.parametrize("kind", ["hot", "paced at 100 Hz"])
def test_distributions_are_those_of_the_samples(laptop, page, kind):
    drawing = drawn(page, f"Latency, {kind}")
    x, y = drawing.axis("x", log=True), drawing.axis("y")
    for item in series(laptop):
        latency = item.variant.hot if kind == "hot" else item.variant.paced.step
        points = steps(drawing.tip(f"{item.name}: p50"))
        assert all(a[0] <= b[0] and a[1] > b[1] for a, b in pairwise(points)), "monotone"
        assert y.at(points[0][1]) == pytest.approx(0.5, abs=0.1)
        assert y.at(points[-1][1]) == pytest.approx(99, abs=0.1), "the tail is not drawn"
        levels = np.array([y.at(point[1]) / 100 for point in points])
        drawn_us = [x.at(point[0]) for point in points]
        np.testing.assert_allclose(drawn_us, np.quantile(latency.samples_us, levels), rtol=0.02)


def test_the_floor_is_marked_in_the_hot_figure_only(laptop, page):
    hot, paced = drawn(page, "Latency, hot"), drawn(page, "Latency, paced at 100 Hz")
    (line,) = hot.marked("line", "baseline")
    floor = laptop.result.harness.floor.p50_us
    assert hot.axis("x", log=True).at(float(line.get("x1"))) == pytest.approx(floor, rel=0.01)
    assert not paced.marked("line", "baseline")


def boxes(drawing):
    """Return what the marks cover, as the drawing's own constants say."""
    for text in drawing.marked("text", "name"):
        width, x, y = scatter.LETTER * len(text.text), float(text.get("x")), float(text.get("y"))
        left = x - width / 2 if text.get("text-anchor") == "middle" else x
        yield text.text, (left, y - 10, left + width, y + 2)


@pytest.mark.parametrize(
    "title",
    ["Latency, hot", "Latency, paced at 100 Hz", "After a pause", "Frames in one call",
     "Accuracy against a hot step", "Accuracy against memory"],
)  # fmt: skip
def test_twelve_marks_do_not_cover_each_other(page, title):
    found = list(boxes(drawn(page, title)))
    assert len(found) == 12
    for number, (name, box) in enumerate(found):
        for other, taken in found[:number]:
            apart = (
                box[0] >= taken[2] or taken[0] >= box[2] or box[1] >= taken[3] or taken[1] >= box[3]
            )
            assert apart, f"{name} on {other}"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(60, 400), st.integers(40, 240)), min_size=1, max_size=12))
def test_names_of_points_keep_clear(places):
    chart = Chart("t", "d")
    scatter.name_points(chart, places, [(f"A{n}", "") for n in range(len(places))])
    found = [box for _, box in boxes(Drawn(chart.svg()))]
    said = " ".join(Drawn(chart.svg()).words("name"))
    joined = sum(int(n) for n in re.findall(r"and (\d+) others", said))
    assert len(re.findall(r"A\d+", said)) + joined == len(places)
    for number, box in enumerate(found):
        for taken in found[:number]:
            assert (
                box[0] >= taken[2] or taken[0] >= box[2] or box[1] >= taken[3] or taken[1] >= box[3]
            )


def test_curves_differ_without_colour(laptop):
    looks = [item.class_.replace(" int8", "") for item in series(laptop)]
    assert len(set(looks)) == 12
    dashes = [look.split()[1] for look in looks]
    assert all(a != b for a, b in pairwise(dashes)), "neighbours differ in their dash"


def test_more_curves_than_can_be_told_apart_are_drawn_in_two_figures(laptop):
    more = (*laptop.result.variants, replace(laptop.result.variants[0], name="one more"))
    page = render((replace(laptop, result=replace(laptop.result, variants=more)),))
    hot = [drawing for title, _, drawing in figures(page) if title == "Latency, hot"]
    assert [len(drawing.words("name")) for drawing in hot] == [FEW, 1]
    assert hot[0].axis("x", log=True).at(100) == pytest.approx(hot[1].axis("x", log=True).at(100))


def explained(run, unexplained):
    """Return a run of known parts, of which what is not explained may be below zero."""
    variants = []
    for number, variant in enumerate(run.result.variants):
        rest = unexplained * (1 + number / 10)
        parts = (29.4, 24.1, 0.9 + number / 8, 0.4, -0.2, 0.02, 0.1, 0.03)
        found = Breakdown(sum(parts) + rest, *parts, rest, 0.01, 0.1)
        memory = replace(variant.memory, breakdown=found)
        variants.append(replace(variant, memory=memory))
    return replace(run, result=replace(run.result, variants=tuple(variants)))


def without_breakdown(run):
    """Return a run on a system that does not tell."""
    variants = (
        replace(variant, memory=replace(variant.memory, breakdown=None))
        for variant in run.result.variants
    )
    return replace(run, result=replace(run.result, variants=tuple(variants)))


@pytest.mark.parametrize("unexplained", [0.31, -0.26])
def test_stacks_add_up_and_what_is_unexplained_comes_last(laptop, unexplained):
    run = explained(laptop, unexplained)
    page = render((run,))
    for title, first in (("Memory of the process", 0.0), ("Memory that the model adds", 53.5)):
        drawing = drawn(page, title)
        x = drawing.axis("x")
        rows = {}
        for rect in drawing.marked("rect", "bar"):
            rows.setdefault(rect.get("y"), []).append(rect)
        for item, rects in zip(series(run), rows.values(), strict=True):
            parts = item.variant.memory.breakdown
            tips = [rect.findtext(f"{SVG}title") for rect in rects]
            assert "unexplained" in tips[-1]
            assert sum("state" in tip for tip in tips) == 1
            assert "rest" in rects[-1].get("class")
            left = float(rects[-1].get("x"))
            right = left + float(rects[-1].get("width"))
            end = x.at(right if unexplained > 0 else left)
            assert end == pytest.approx(parts.total_mib - first, abs=0.02 * x.at(440) / 50)
            widths = sum(
                float(rect.get("width")) * (-1 if "-" in tip.rpartition(" ")[2] else 1)
                for rect, tip in zip(rects, tips, strict=True)
            )
            assert widths * x.slope == pytest.approx(parts.total_mib - first, rel=0.01)
        said = [word for word in drawing.words("tick") if "?" in word]
        assert said[0] == f"{short(53.5 + 1.25 + unexplained - first)}, ? {short(unexplained, 2)}"


def test_without_a_breakdown_the_peak_is_drawn_in_two(laptop):
    drawing = drawn(render((without_breakdown(laptop),)), "Memory, peak")
    memory = laptop.result.variants[0].memory
    assert len(drawing.marked("rect", "bar")) == 24
    first, second = drawing.marked("rect", "bar")[:2]
    x = drawing.axis("x")
    assert x.at(float(second.get("x"))) == pytest.approx(memory.runtime_peak_rss_mib, abs=0.1)
    end = float(second.get("x")) + float(second.get("width"))
    assert x.at(end) == pytest.approx(
        memory.runtime_peak_rss_mib + memory.attributable_rss_mib, abs=0.1
    )
    assert first.get("class") != second.get("class")


def test_parts_that_lie_side_by_side_differ_in_shade():
    shades = [stacks.class_of(field) for field, _ in (*stacks.BEFORE, *stacks.ADDED)]
    assert all(a != b for a, b in pairwise(shades))
    assert stacks.class_of(stacks.PEAK[0][0]) != stacks.class_of(stacks.PEAK[1][0])


def test_bars_begin_where_the_last_part_ended():
    parts = (bars.Part(3.0, "a"), bars.Part(-1.0, "b"), bars.Part(0.5, "c"))
    bar = bars.Bar("x", "", parts)
    assert bar.ends == [0, 3, 2, 2.5]
    assert bar.total == 2.5
    first, second, third = Drawn(bars.draw("t", "d", "l", [bar])).marked("rect", "bar")
    x = Drawn(bars.draw("t", "d", "l", [bar])).axis("x")
    spans = [
        (x.at(float(r.get("x"))), x.at(float(r.get("x")) + float(r.get("width"))))
        for r in (first, second, third)
    ]
    np.testing.assert_allclose(spans, [(0, 3), (2, 3), (2, 2.5)], atol=0.02)


def stalled(run, at, step_us, late_us):
    """Return a run of one variant of which one frame was slow, and one was woken late."""
    variant = run.result.variants[0]
    paced = variant.paced
    steps_ns = np.full(paced.frames, 100_000)
    late_ns = np.full(paced.frames, 90_000)
    steps_ns[at], late_ns[at + 300] = step_us * 1000, late_us * 1000
    paced = replace(paced, step=summarise(steps_ns), late=summarise(late_ns), missed=1)
    return replace(run, result=replace(run.result, variants=(replace(variant, paced=paced),)))


@pytest.mark.parametrize("at", [0, 417, 1199])
def test_a_trace_shows_what_happened_when_it_did(laptop, at):
    run = stalled(laptop, at, step_us=2_500, late_us=11_000)
    (figure,) = traces(run)
    drawing = Drawn(figure.drawing)
    x, y = drawing.axis("x"), drawing.axis("y", log=True)
    (span,) = drawing.marked("path", "span")
    strokes = [
        tuple(map(float, found))
        for found in re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", span.get("d"))
    ]
    assert len(strokes) == COLUMNS
    column = run.result.variants[0].paced.frames / 100 / COLUMNS
    highest = min(strokes, key=lambda stroke: stroke[2])
    assert x.at(highest[0]) == pytest.approx(at / 100, abs=column)
    assert y.at(highest[2]) == pytest.approx(2_500, rel=0.05)
    assert y.at(highest[1]) == pytest.approx(100, rel=0.05)
    (cross,) = drawing.marked("path", "miss")
    left = float(re.match(r"M([\d.]+)", cross.get("d"))[1])
    assert x.at(left + 3) == pytest.approx((at + 300) / 100, abs=column)
    tip = cross.findtext(f"{SVG}title")
    assert f"1 missed from {(at + 300) / 100:.2f} s on, woken up to 11.0 ms late" in tip
    assert "1 of 1,500 missed" in " ".join(drawing.words("name"))


def test_of_a_long_run_the_kept_steps_stand_where_they_were(laptop):
    variant = laptop.result.variants[0]
    steps_ns, late_ns = np.full(12_001, 100_000), np.full(12_001, 90_000)
    steps_ns[9_000], late_ns[[3_000, 3_001]] = 4_000_000, 12_000_000  # 9,000 is kept, 3,001 not
    paced = replace(
        variant.paced, step=summarise(steps_ns), late=summarise(late_ns), frames=12_001, missed=2
    )
    one = (replace(variant, paced=paced),)
    (figure,) = traces(replace(laptop, result=replace(laptop.result, variants=one)))
    assert "One of 3 steps was kept" in figure.caption
    drawing = Drawn(figure.drawing)
    x = drawing.axis("x")
    (cross,) = drawing.marked("path", "miss")
    assert x.at(float(re.match(r"M([\d.]+)", cross.get("d"))[1]) + 3) == pytest.approx(30, abs=0.7)
    assert "1 missed from 30.00 s on" in cross.findtext(f"{SVG}title")
    (span,) = drawing.marked("path", "span")
    strokes = re.findall(r"M([\d.]+) [\d.]+V([\d.]+)", span.get("d"))
    highest = min(strokes, key=lambda stroke: float(stroke[1]))
    assert x.at(float(highest[0])) == pytest.approx(90, abs=0.7)
    assert "2 of 12,001 missed" in " ".join(drawing.words("name"))


def test_the_misses_of_the_samples_are_those_that_were_counted(laptop):
    for variant in laptop.result.variants:
        assert variant.paced.misses.sum() == variant.paced.missed == 2


def test_pauses_and_chunks_lie_where_their_values_say(laptop, page):
    pauses, chunks = drawn(page, "After a pause"), drawn(page, "Frames in one call")
    x, y_call, y_step = (
        chunks.axis("x", log=True),
        chunks.axis("y", log=True),
        pauses.axis("y", log=True),
    )
    for item in series(laptop):
        for gap in item.variant.idle:
            (dot,) = [
                e for e in pauses.marked("circle", "dot")
                if e.findtext(f"{SVG}title").startswith(f"{item.name}: ")
                and e.findtext(f"{SVG}title").endswith(f" after {gap.gap_ms:g} ms")
            ]  # fmt: skip
            assert y_step.at(float(dot.get("cy"))) == pytest.approx(gap.p50_us, rel=0.03)
        fit = item.variant.chunks
        points = steps(chunks.tip(f"{item.name}: a 9.00 (8.90 to 9.10), b 7.50 (7.40 to 7.60) µs"))
        for at, height in points:
            expected = fit.overhead_us + fit.frame_us * x.at(at)
            assert y_call.at(height) == pytest.approx(expected, rel=0.03)
        for size, median in zip(fit.sizes, fit.median_us, strict=True):
            (dot,) = [
                e for e in chunks.marked("circle", "dot")
                if e.findtext(f"{SVG}title").startswith(f"{item.name}: ")
                and e.findtext(f"{SVG}title").endswith(f" for {size} frames")
            ]  # fmt: skip
            assert x.at(float(dot.get("cx"))) == pytest.approx(size, rel=0.02)
            assert y_call.at(float(dot.get("cy"))) == pytest.approx(median, rel=0.03)


def test_what_was_not_measured_is_spelled_out(board):
    bare = tuple(
        replace(v, accuracy=None, paced=None, idle=None, chunks=None, memory=None, cold=None)
        for v in board.result.variants
    )
    page = render(
        (replace(board, result=replace(board.result, variants=bare, pace_settings=None)),)
    )
    assert [title for title, _, _ in figures(page)] == ["Latency, hot"]
    assert "not measured: B1 fp32, B2 int8" in page
    assert (
        "B: pi.json, not measured: Latency, paced, Memory, peak, Memory that the model adds, After "
        "a pause, Frames in one call, Paced, step by step"
    ) in page
    row = Page(page).row("B1 ")
    assert row.count("not measured") == 8
    assert "None" not in page


def test_all_figures_conditions_and_promises_stand_in_tables(board, page):
    assert "The harness: 140 ns a step; a session that does nothing (the floor)" in page
    assert "Conditions: load 0.400 before" in page
    rows = Page(page).rows
    assert ["fail", "int8", "hot p50 vs fp32", "1.05 times", "1.2 times [1.1, 1.3]"] in rows
    row = next(row for row in rows if row[0] == "A1 measured")
    hot = ONE.variants[0]
    assert short(measured("fp32", 14, 200, 1).hot.p50_us) in row
    assert next(row for row in rows if row[0] == "B1 emulated")[6] == short(hot.hot.p50_us)
    assert "edgeseq bench har-lstm --variant fp32 --variant int8 --device raspberry-pi-4" in page


def test_a_busy_machine_is_told(laptop, page):
    assert "distrust the tails" not in page
    conditions = replace(laptop.result.conditions, load_before=1.1)
    busy = replace(laptop, result=replace(laptop.result, conditions=conditions))
    assert "Something else was running: distrust the tails" in render((busy,))


def test_hostile_names_are_only_text(board):
    evil = '<script>alert("1")</script>'
    result = board.result
    variants = tuple(
        replace(
            v, name=evil + v.name, bundle=evil, variant=evil, task=evil, provider=evil,
            accuracy=replace(v.accuracy, metric=evil),
        )
        for v in result.variants
    )  # fmt: skip
    budget = (replace(result.budget[0], variant=evil, promise=evil, reason=evil, limit=evil),)
    host = replace(result.machine, cpu=evil, board=evil, system=evil, governor=evil)
    page = render(
        (
            Run(
                "A", evil,
                replace(result, variants=variants, budget=budget, machine=host, device=evil,
                        edgeseq=evil, not_measured={evil: evil}),
            ),
        )
    )  # fmt: skip
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 30
    Page(page)
    assert len(figures(page)) == 12


def test_one_distribution_ends_at_its_99th_percentile():
    assert cdf.LEVELS[-1] == 0.99
