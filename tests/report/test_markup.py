"""Markup that hostile text cannot break, scales, and labels that keep apart."""

from itertools import pairwise

import pytest

from edgeseq.report.html.markup import Html, join, tag
from edgeseq.report.html.scale import Scale, linear, logarithmic, spread


def test_plain_text_is_escaped_and_markup_is_not() -> None:
    inner = tag("b", "<script>")
    assert tag("p", "a < b & c ", inner) == "<p>a &lt; b &amp; c <b>&lt;script&gt;</b></p>"
    assert join(["<", Html("<br>")], None) == "&lt;<br>"


def test_attributes() -> None:
    made = tag("a", "x", class_="c0", href='"><script>', aria_label="l", colspan=2, title=None)
    assert made == (
        '<a class="c0" href="&quot;&gt;&lt;script&gt;" aria-label="l" colspan="2">x</a>'
    )
    assert tag("svg", x=1.0, y=2.346, viewbox="0 0 1 1") == (
        '<svg x="1" y="2.35" viewBox="0 0 1 1"></svg>'
    )
    assert tag("meta", name="viewport") == '<meta name="viewport">'


def test_a_linear_scale() -> None:
    scale = linear([0, 10], 100, 200, pad=0)
    assert [scale(value) for value in (0, 5, 10, 99)] == [100, 150, 200, 200]
    assert scale.ticks() == [0, 2, 4, 6, 8, 10]
    assert linear([3, 9], 0, 1, zero=True).low == 0


def test_a_logarithmic_scale() -> None:
    scale = logarithmic([1, 100], 0, 10, pad=1)
    assert scale(10) == pytest.approx(5)
    assert scale.ticks() == [1, 2, 5, 10, 20, 50, 100]
    assert logarithmic([0.0, 1.0], 0, 1, pad=1.5).low > 0


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("span", [(1e-7, 3e-2), (60.0, 230.0), (88.3, 89.1), (1.0, 1e6)])
def test_there_are_ticks_but_not_many(span: tuple[float, float], log: bool) -> None:
    scale = Scale(*span, 0, 400, log=log)
    ticks = scale.ticks(4)
    assert 2 <= len(ticks) <= 10
    assert all(span[0] <= tick <= span[1] for tick in ticks)


def test_equal_values_still_make_a_scale() -> None:
    assert linear([5, 5], 0, 10)(5) == pytest.approx(5)
    assert linear([], 0, 10)(0.5) == pytest.approx(5)
    assert logarithmic([7, 7], 0, 10)(7) == pytest.approx(5)


def test_labels_keep_apart_in_their_order() -> None:
    placed = spread([50, 52, 51, 200], 14, 0, 190)
    assert placed[0] < placed[2] < placed[1] < placed[3] == 190
    ordered = sorted(placed)
    assert all(b - a >= 14 - 1e-9 for a, b in pairwise(ordered))
    assert spread([], 14, 0, 100) == []
