"""The report of claims: whole, small, traceable to cells, and read without hues."""

import re
from dataclasses import replace
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest
from claims.filled import MACHINE, filled, summary_of
from report.reading import Drawn, Page, drawings

from edgeseq.claims.claim import load_claim
from edgeseq.claims.figures import Bar, Bars, Curves, Heat, Line, Point, Points
from edgeseq.claims.plan import SCALES
from edgeseq.claims.store import Store
from edgeseq.claims.summary import summarise
from edgeseq.report.claims import leave
from edgeseq.report.claims_markdown import markdown, numbers, verdict_block
from edgeseq.report.html.claims import render
from edgeseq.report.html.claims.look import ALWAYS, looks
from edgeseq.report.html.claims.page import drawing


@pytest.fixture(scope="module")
def summary():
    return summary_of("10m", ("order", "data", "scale"))


def test_a_verdict_leads_to_its_cells_and_a_cell_to_its_command(summary):
    page = Page(render(summary))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for judged in summary.claims:
        assert judged.verdict.claim in ids
        assert judged.declaration["sha256"] in page.text
        for cell, outcome in judged.cells:
            row = next(row for row in page.rows if row[0] == cell.key)
            assert row[4] == f"edgeseq claims --budget 10m --cell {cell.key} -o DIR"
            assert row[2] == f"{outcome.result['metric']} {outcome.result['value']:.1f}"
    first = next(row for row in page.rows if row[0] == "order")
    assert first[1:3] == [summary.claims[0].verdict.hypothesis, summary.claims[0].verdict.word]
    assert first[4] == "18 of 18"
    assert "A <CPU> & more" in page.text


def test_every_effect_stands_with_its_interval_and_spread(summary):
    page = Page(render(summary))
    for part in (part for judged in summary.claims for part in judged.verdict.parts):
        row = next(row for row in page.rows if row[0] == part.statement)
        assert row[2:4] == [part.word, str(part.effect)]
        assert row[4] == f"{part.effect.smallest:.1f}"
        assert row[7].startswith(str(part.effect.trainings))


def test_a_full_run_can_be_mailed_and_needs_no_network():
    full = summary_of("full")
    page = render(full)
    assert sum(len(judged.cells) for judged in full.claims) > 800
    assert len(page.encode()) < 700_000  # 1.5 MB would still do, for twice the claims
    assert not re.search(r"(src|href)=\"(?!#)|url\(|@import", page)
    Page(page)


def test_what_is_missing_is_said():
    page = Page(render(summary_of("full", ("gru",), keep=lambda cell: cell.kind == "tune")))
    row = next(row for row in page.rows if row[0] == "gru")
    assert row[2] == "not measured"
    waiting = next(row for row in page.rows if len(row) == 5 and row[2].startswith("not measured"))
    assert (waiting[0], waiting[4]) != ("", "")  # measured next: its key is known
    nothing = summarise([load_claim("gru")], SCALES["full"], filled("full", ()))
    waiting = [row for row in Page(render(nothing)).rows if row[-1:] == [""] and len(row) == 5]
    assert {row[2] for row in waiting} == {"not measured; waits for the search"}
    assert {row[0] for row in waiting} == {""}


def test_markdown_says_the_same(summary):
    text = markdown(summary)
    for judged in summary.claims:
        assert f"| `{judged.verdict.claim}` | {judged.verdict.hypothesis} |" in text
        for part in judged.verdict.parts:
            assert f"{part.statement} *{part.word}*: {part.effect}" in text
            assert f"| {part.statement} | {part.rule} | {part.word} | {part.effect} |" in text
    assert "| LSTM | 86.5 | 82.6 to 90.5 |" in text
    assert "edgeseq claims order data scale --budget 10m -o DIR" in text
    block = verdict_block(summary)
    assert "edgeseq claims order data scale --budget 10m -o DIR" in block
    assert MACHINE["onnxruntime"] in block


def test_what_is_only_told_says_so(summary):
    judged = summary.claims[0]
    first, *others = judged.verdict.parts
    verdict = replace(judged.verdict, parts=(replace(first, elsewhere=True), *others))
    told = replace(summary, claims=(replace(judged, verdict=verdict),))
    for text in (render(told), markdown(told)):
        assert text.count(f"{first.statement} (Another device: decides nothing.)") == 2


def test_a_rehearsal_says_so_and_a_full_run_does_not():
    claims = [load_claim("order")]
    short, full = (summarise(claims, SCALES[name], Store(Path("none"))) for name in ("10m", "full"))
    for form in (render, markdown):
        assert "not trained yet" in form(short)
        assert "not trained yet" not in form(full)


def test_leave(summary, tmp_path):
    leave(summary, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "verdicts.json", "report.md", "report.html",
    }  # fmt: skip


CURVES = Curves(
    "Skill", "lag", "skill, %",
    (
        Line("LSTM", (8, 32, 128), (90, 50, 20), (80, 40, 10), (100, 60, 30)),
        Line("Transformer", (8, 32, 128), (91, 88, 86)),
    ),
    log_x=True,
)  # fmt: skip
BARS = Bars("Gains", "points", (Bar("har", 3, 1, 5), Bar("text", -2, -3, -1)), mark=2.0)
HEAT = Heat("Gain", "size", "share", ("10 %",), ("5k", "20k"), ((-1.5, None),), "points")
POINTS = Points(
    "Front", "KiB", "accuracy",
    (
        Point("LSTM", 20, 88, "lstm", on_front=True),
        Point("LSTM int8", 10, 87, "lstm", "int8", on_front=True),
        Point("Transformer", 40, 86, "transformer"),
    ),
)  # fmt: skip


def svg(figure):
    return str(drawing(figure)).partition("<ul")[0].removeprefix("<div>")


def test_a_curve_lies_where_its_numbers_are():
    page = svg(CURVES)
    band = re.search(r'<path d="M([^"]+)z" class="band s0"', page)[1]
    corners = [tuple(map(float, corner.split())) for corner in band.split("L")]
    assert len(corners) == 6
    line = re.search(r'd="M([^"]+)" class="line s0 d0"', page)[1]
    points = [tuple(map(float, point.split())) for point in line.split(" L")]
    for (x, y), (u, high), (v, low) in zip(points, corners[:3], corners[:2:-1], strict=True):
        assert x == u == v
        assert y - high == pytest.approx(low - y, abs=0.2)
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)
    assert 'class="line s1 d1"' in page


@pytest.mark.parametrize("log", [True, False])
def test_one_place_and_one_value_are_drawn(log):
    one = Curves("a", "b", "c", (Line("LSTM", (8.0,), (0.0,), (0.0,), (0.0,)),), log_x=log)
    assert 'class="mark s0"' in svg(replace(one, log_y=log))


def test_bars_begin_at_zero_and_have_whiskers():
    drawn = Drawn(svg(BARS))
    gain, loss = drawn.marked("rect", "bar value")
    zero = float(gain.get("x"))
    assert float(loss.get("x")) + float(loss.get("width")) == pytest.approx(zero, abs=0.02)
    assert float(gain.get("width")) / float(loss.get("width")) == pytest.approx(1.5, rel=0.01)
    assert len(drawn.marked("line", "whisker")) == 6
    counted = Drawn(svg(replace(BARS, bars=(Bar("MatMul", 40, 40, 40),))))
    assert counted.marked("line", "whisker") == []


def test_heat_and_points_say_what_hues_would():
    heat = Drawn(svg(replace(HEAT, values=((-1.5, 0.5), (1.5, None)), rows=("10 %", "all"))))
    shades = [float(cell.get("fill-opacity")) for cell in heat.marked("rect", "shade")][-3:]
    assert shades[0] < shades[1] < shades[2]  # darker is more
    assert 0.4 < shades[1] < 0.8  # about zero is about the middle
    assert ">-1.50<" in svg(HEAT)
    whole = str(drawing(POINTS))
    assert "mark s0 hollow" in whole
    assert "hollow: int8" in whole
    assert 'class="line front"' in whole
    roof = Line("L2 <cache>", (1, 100), (50, 95))
    bound = svg(replace(POINTS, lines=(roof,)))
    assert 'class="line bound"' in bound
    assert "L2 &lt;cache&gt;" in bound


@pytest.mark.parametrize("figure", [CURVES, BARS, HEAT, POINTS], ids=lambda f: type(f).__name__)
def test_figures_are_drawings_and_tables(figure):
    assert len(drawings(str(drawing(figure)))) >= 1
    assert numbers(figure).count("\n") >= 2


@pytest.mark.parametrize(
    "figure",
    [
        Curves("a", "b", "c", (Line("LSTM", (), ()),)),
        Bars("a", "b", ()),
        Heat("a", "b", "c", ("r",), ("c",), ((None,),), "points"),
        Points("a", "b", "c", ()),
    ],
    ids=lambda figure: type(figure).__name__,
)
def test_nothing_to_draw(figure):
    assert drawing(figure) is None


def shade(colour):
    """Relative luminance (WCAG 2): what is left of a colour in grey."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((shade(one), shade(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("dark", "paper"), [(0, "#fffefb"), (1, "#161718")])
def test_families_differ_in_grey_and_stand_out(dark, paper):
    css = (files("edgeseq.report.html.claims") / "claims.css").read_text(encoding="utf-8")
    colours = [re.findall(rf"--l{look}: (#\w+)", css)[dark] for look in range(8)]
    assert all(contrast(colour, paper) >= 3 for colour in colours)
    assert all(contrast(*pair) >= 1.25 for pair in combinations(colours[:4], 2))
    assert contrast(colours[0], colours[1]) > 2.5
    assert len(set(re.findall(r"stroke-dasharray: ([^;]+); }", css[css.index(".d0") :]))) >= 8


def test_families_look_alike_everywhere():
    assert looks(["Transformer", "LSTM"]) == {"Transformer": 1, "LSTM": 0}
    found = looks(iter([*ALWAYS, "x"]))
    assert len(set(found.values())) == 8
