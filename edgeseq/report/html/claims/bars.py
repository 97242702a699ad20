"""Values side by side with their 95 % intervals, zero, and a mark at what decides."""

from edgeseq.claims.figures import Bars
from edgeseq.report.html.bars import LABELS, TOP, middle, rows
from edgeseq.report.html.chart import BOTTOM, RIGHT, WIDTH, Chart, line, text, tip_of
from edgeseq.report.html.claims.look import family_name
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.scale import Scale, linear
from edgeseq.report.numbers import short

NUMBER = 56
LONGEST = 21
"""Letters of a name that fit at the left."""


def draw(figure: Bars) -> Html | None:
    """Return the drawing; none where there is no bar."""
    if not figure.bars:
        return None
    named = [(_cut(family_name(bar.name)), "plain") for bar in figure.bars]
    chart = rows(figure.title, f"{figure.label}, a bar each, with 95 % intervals.", named)
    ends = [end for bar in figure.bars for end in (bar.value, bar.low, bar.high)]
    known = [*ends, 0.0, *([] if figure.mark is None else [figure.mark])]
    x = linear(known, LABELS, WIDTH - RIGHT - NUMBER, zero=True)
    chart.x_axis(x, figure.label, x.ticks(4))
    for row, bar in enumerate(figure.bars):
        chart.add(*_bar(x, middle(row), bar.value, bar.low, bar.high))
        chart.add(text(WIDTH, middle(row) + 4, short(bar.value), "tick", "end"))
    _across(chart, x(0), "axis")
    if figure.mark is not None:
        _across(chart, x(figure.mark), "baseline")
        chart.add(text(x(figure.mark), TOP - 12, short(figure.mark), "note", "middle"))
    return chart.svg()


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _across(chart: Chart, at: float, class_: str) -> None:
    chart.add(line(at, TOP - 6, at, chart.height - BOTTOM, class_))


def _bar(x: Scale, y: float, value: float, low: float, high: float) -> list[Html]:
    left, right = sorted((x(0), x(value)))
    tip = tip_of(f"{short(value)}, 95 %: {short(low)} to {short(high)}")
    box = tag(
        "rect", tip, x=left, y=y - 7, width=max(right - left, 1.0), height=14.0, class_="bar value"
    )
    if low == high:  # counted, not estimated
        return [box]
    ends = [line(x(end), y - 4, x(end), y + 4, "whisker") for end in (low, high)]
    return [box, line(x(low), y, x(high), y, "whisker"), *ends]
