"""A search on paper: every number where it belongs, and the measured ones named as such."""

from dataclasses import replace

import pytest
from report.reading import Page, figures
from report.synthetic_auto import WEIGHTS, auto_result, stays

from edgeseq.errors import PromiseError
from edgeseq.report.auto import AutoResult
from edgeseq.report.auto_sheets import (
    auto_sheets,
    candidates_sheet,
    confirmed_sheet,
    sensitivity_sheet,
)
from edgeseq.report.html.auto import headline, render

RESULT = auto_result()


@pytest.fixture(scope="module")
def page():
    return render(RESULT)


def row(name: str) -> dict[str, str]:
    sheet = candidates_sheet(RESULT)
    return dict(zip(sheet.columns, next(r for r in sheet.rows if r[0] == name), strict=True))


def test_a_result_survives_its_file(tmp_path):
    RESULT.save(tmp_path / "result.json")
    assert AutoResult.load(tmp_path / "result.json") == RESULT


def test_a_candidate_is_shown_with_all_that_is_known_of_it():
    assert row("int8-dynamic") == {
        "candidate": "int8-dynamic",
        "KiB>": "59.1",
        "noise %>": "1.20",
        "decisions changed>": "0.20 %",
        "lost, points>": "0.020",
        "95 %>": "-0.100 to 0.140",
        "step µs *>": "19.4",
        "of fp32's *>": "0.83",
        "verdict": "preferred",
    }


def test_what_was_not_timed_or_not_made_has_no_number():
    assert row("int8-per-tensor")["step µs *>"] == ""
    static = row("int8-static")
    verdict = "it could not be made: it needs calibration data"
    assert [cell for cell in static.values() if cell] == ["int8-static", verdict]


def test_measured_times_are_told_from_what_comes_out_the_same_again():
    starred = [column for column in candidates_sheet(RESULT).columns if "*" in column]
    assert starred == ["step µs *>", "of fp32's *>"]
    assert "* Times were measured on this machine" in candidates_sheet(RESULT).notes[-1]


def test_a_mixture_is_told_by_what_differs_from_the_narrowest():
    notes = candidates_sheet(RESULT).notes
    assert "mixed-2: weights4, but R0, R1 in dynamic." in notes


def test_weights_come_in_the_order_of_the_walk():
    rows = sensitivity_sheet(RESULT).rows
    power = {
        one.weight: one.noise**2 / one.elements
        for one in RESULT.sensitivities
        if one.scheme == "weights4"
    }
    assert [r[0] for r in rows] == sorted(WEIGHTS, key=lambda weight: -power[weight])
    assert rows[0] == ("head", "448", "1.26", "12.6")


def test_a_weight_that_could_not_be_quantized_alone_has_its_reason():
    refused = "model.onnx would be mixed in name only: 100% in fp32; nothing was written. Do this"
    some = tuple(
        replace(one, parity=None, refused=refused)
        if (one.weight in ("W0", "R0"), one.scheme) == (True, "dynamic")
        else one
        for one in RESULT.sensitivities
    )
    result = replace(RESULT, sensitivities=some)
    sheet = sensitivity_sheet(result)
    assert [r[2] == "not measured" for r in sheet.rows if r[0] in ("W0", "R0")] == [True, True]
    reason = "model.onnx would be mixed in name only: 100% in fp32"
    assert sheet.notes[1:] == (f"W0, R0 alone in dynamic: not measured; {reason}.",)
    assert "not measured" in render(result)


def test_test_scores_stand_side_by_side():
    assert confirmed_sheet(RESULT).rows == (
        ("fp32", "80.30", "", ""),
        ("int8-dynamic", "90.10", "-0.100", "-0.220 to 0.020"),
    )


def test_a_winner_that_breaks_a_limit_on_test_is_a_broken_promise():
    RESULT.require_promises()
    broken = replace(RESULT, broken=("less accurate",), because="it is less accurate on test")
    with pytest.raises(PromiseError, match="less accurate on test; fp32 stays preferred"):
        broken.require_promises()


def test_the_page_says_what_the_sheets_say(page):
    text = Page(page).text
    assert headline(RESULT) == "bundle as int8-dynamic: 3.3 times smaller, 1.20 times as fast"
    for sheet in auto_sheets(RESULT):
        for cells in sheet.rows:
            assert list(cells) in Page(page).rows
        for note in sheet.notes:
            assert note in text
    assert headline(stays()) == "bundle stays in fp32"
    assert "Preferred: fp32, because nothing is faster." in Page(render(stays())).text


def test_points_lie_where_their_numbers_say(page):
    drawn = {title: chart for title, _, chart in figures(page)}
    noise = drawn["Signal to noise against size"]
    x, y = noise.axis("x", log=True), noise.axis("y")
    point = noise.tip("int8-dynamic: 59.1 KiB, 38.4 dB")
    assert x.at(float(point.get("cx"))) == pytest.approx(59.1, rel=0.02)
    assert y.at(float(point.get("cy"))) == pytest.approx(38.4, abs=0.3)
    time = drawn["Loss against time"]
    x, y = time.axis("x", log=True), time.axis("y")
    point = time.tip("mixed-2: 26.0 µs, lost 0.100 points")
    assert x.at(float(point.get("cx"))) == pytest.approx(26.0, rel=0.02)
    assert y.at(float(point.get("cy"))) == pytest.approx(0.1, abs=0.003)


def test_the_front_joins_what_no_other_beats(page):
    captions = {title: below for title, below, _ in figures(page)}
    noise = captions["Signal to noise against size"]
    assert "No other candidate beats int4-weights, mixed-1, mixed-2, int8-dynamic." in noise
    assert "No other candidate beats int8-dynamic, fp32." in captions["Loss against time"]


def test_what_breaks_a_limit_is_hollow(page):
    (chart,) = [c for title, _, c in figures(page) if title == "Signal to noise against size"]
    hollow = {
        mark.findtext("{*}title").partition(":")[0] for mark in chart.marked("circle", "int8")
    }
    assert hollow == {"int8-per-tensor", "int4-weights", "mixed-1"}


def test_names_cannot_break_the_page():
    evil = replace(RESULT, bundle='<script>"&', because="<b>")
    text = render(evil)
    assert "<script>" not in text
    assert '<script>"&' in Page(text).text


def test_nothing_is_fetched(page):
    assert not {"script", "link", "img"} & {name for name, _ in Page(page).tags}
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
