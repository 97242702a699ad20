"""Lines over one axis, each with its 95 % band."""

from itertools import pairwise

from edgeseq.claims.figures import Curves, Line
from edgeseq.report.html.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, path, tidy
from edgeseq.report.html.claims.look import looks, mark
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.scale import Scale, linear, logarithmic
from edgeseq.report.numbers import short

LETTER = 6.6
FLOOR = HEIGHT - BOTTOM
MANY = 40
"""Points of a line that are marked one by one; of more, each so many-th."""


def draw(figure: Curves) -> Html | None:
    """Return the drawing; none where no line has a point."""
    lines = [line for line in figure.lines if line.x]
    if not lines:
        return None
    chart = Chart(figure.title, f"{figure.y_label} against {figure.x_label}, a line each.")
    right = WIDTH - RIGHT - LETTER * max(len(line.name) for line in lines) - 6
    x = _scale([at for line in lines for at in line.x], LEFT + 4, right, log=figure.log_x)
    ends = [end for line in lines for end in (*line.y, *line.low, *line.high)]
    y = _scale(ends, FLOOR - 4, TOP, log=figure.log_y)
    chart.y_axis(y, figure.y_label, right=right)
    chart.x_axis(x, figure.x_label, _ticks(lines, x))
    look = looks(line.name for line in lines)
    chart.add(*(_band(line, x, y, look[line.name]) for line in lines if line.low))
    for line in lines:
        chart.add(*_marked(line, x, y, look[line.name]))
    names = [(right + 8, y(line.y[-1]), line.name, f"s{look[line.name]}") for line in lines]
    chart.names(names, leaders=True)
    return chart.svg()


def _scale(values: list[float], start: float, end: float, *, log: bool) -> Scale:
    if not log:
        return linear(values, start, end)
    several = len({value for value in values if value > 0}) != 1
    return logarithmic(values, start, end, pad=1.05 if several else 2.0)


def _ticks(lines: list[Line], x: Scale) -> list[float] | None:
    """Return the places that were measured, where they are few and not on each other."""
    places = sorted({at for line in lines for at in line.x})
    room = [x(after) - x(before) for before, after in pairwise(places)]
    wide = max((LETTER * len(tidy(at)) for at in places), default=0) + 8
    return places if len(places) < 8 and min(room, default=wide) >= wide else None


def _band(line: Line, x: Scale, y: Scale, look: int) -> Html:
    there = [(x(at), y(end)) for at, end in zip(line.x, line.high, strict=True)]
    back = [(x(at), y(end)) for at, end in zip(line.x, line.low, strict=True)][::-1]
    corners = "L".join(f"{u:.1f} {v:.1f}" for u, v in (*there, *back))
    return tag("path", d=f"M{corners}z", class_=f"band s{look}")


def _marked(line: Line, x: Scale, y: Scale, look: int) -> list[Html]:
    points = [(x(at), y(value)) for at, value in zip(line.x, line.y, strict=True)]
    every = -(-len(points) // MANY)
    marks = [
        mark(*points[n], look, f"{line.name}: {short(line.y[n])} at {tidy(line.x[n])}")
        for n in range(0, len(points), every)
    ]
    return [path(points, f"s{look} d{look}"), *marks]
