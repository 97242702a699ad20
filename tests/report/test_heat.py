"""A heat map shows each value where and as dark as it is."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from edgeseq.report.html.heat import HIGH, MOST, SHADES, Heat, heat, shrunk

SVG = "{http://www.w3.org/2000/svg}"


def names(count, letter=""):
    return [f"{letter}{index}" for index in range(count)]


def drawn(values, **how):
    data = Heat("map", names(len(values), "r"), names(len(values[0]), "c"), values, "nat")
    return ElementTree.fromstring(heat(data, **how))


def shades(drawing, shape):
    """Read the opacity of each cell of a large map back from its strokes."""
    found = np.zeros(shape)
    for path in drawing.iter(f"{SVG}path"):
        opacity = float(path.get("stroke-opacity") or -1)
        for x, y, wide in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
            cells = found[int(y), int(x) : int(x) + int(wide)]
            assert (cells == 0).all(), "a cell is drawn once"
            cells[:] = opacity
    return found


def test_a_small_map_has_its_numbers_and_what_is_missing():
    drawing = drawn([[0.0, 0.5], [1.0, None]])
    cells = [r for r in drawing.iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    assert [cell.findtext(f"{SVG}title") for cell in cells] == [
        "r0, c0: 0", "r0, c1: 0.500", "r1, c0: 1.00", "r1, c1: not measured",
    ]  # fmt: skip
    shades = [cell.get("fill-opacity") for cell in cells]
    assert float(shades[0]) == 0
    assert float(shades[2]) == HIGH
    assert float(shades[0]) < float(shades[1]) < float(shades[2])
    assert shades[3] is None
    assert cells[3].get("class") == "unknown"
    words = {text.text: text.get("class") for text in drawing.iter(f"{SVG}text")}
    assert (words["0"], words["1.00"], words["-"]) == ("on-light", "on-dark", "on-light")
    assert words["1.0 nat"] == "tick"


def test_a_large_map_has_every_value_in_its_place():
    values = np.random.default_rng(0).uniform(0, 1, (5, 40))
    steps = np.minimum((values * SHADES).astype(int), SHADES - 1) / (SHADES - 1) * HIGH
    steps = steps.round(2)
    values[2, 7], steps[2, 7] = np.nan, -1
    found = shades(drawn(values, low=0.0, high=1.0), values.shape)
    assert found == pytest.approx(steps, abs=1e-9)


def test_a_large_map_is_small_on_the_page():
    values = np.random.default_rng(0).uniform(0, 1, (300, 700))
    data = Heat("map", names(300), names(700), values)
    drawing = heat(data)
    assert len(drawing) < 10 * MOST[0] * MOST[1]
    assert len(heat(data, most=(20, 30))) < len(drawing) / 5


def test_means_of_neighbours_keep_the_mean_and_skip_what_is_missing():
    values = np.arange(24.0).reshape(2, 12)
    values[0, 0] = np.nan
    smaller, rows, columns = shrunk(values, names(2), names(12), (1, 4))
    assert rows == ["0"]
    assert columns == ["0", "3", "6", "9"]
    assert smaller == pytest.approx(np.array([[42 / 5, 10, 13, 16]]))


def test_nothing_measured_and_all_alike_are_drawn():
    assert (shades(drawn(np.full((3, 20), np.nan)), (3, 20)) == -1).all()
    assert (shades(drawn(np.full((3, 20), 4.0)), (3, 20)) == 0).all()


def test_long_names_are_cut_to_their_place_and_kept_as_a_tip():
    data = Heat("map", ["a"], ["short", "a very long name of a column"] * 6, [[1.0] * 12])
    drawing = ElementTree.fromstring(heat(data))
    tips = [group.findtext(f"{SVG}title") for group in drawing.iter(f"{SVG}g")]
    assert "a very long name of a column" in tips
    assert any(text.text.endswith("…") for text in drawing.iter(f"{SVG}text"))
