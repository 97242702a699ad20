"""Models in a plane of gain and cost; a staircase joins those that no other beats."""

from collections.abc import Sequence

from edgeseq.claims.figures import Line, Point, Points
from edgeseq.report.html.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, path, text
from edgeseq.report.html.claims.look import family_name, looks, mark
from edgeseq.report.html.markup import Html, join, tag
from edgeseq.report.html.scale import Scale, linear, logarithmic
from edgeseq.report.html.scatter import name_points, stairs
from edgeseq.report.numbers import short

FEW = 12
"""Points that can all be named; of more only those on the front are."""
FLOOR = HEIGHT - BOTTOM


def draw(figure: Points) -> Html | None:
    """Return the drawing with its legend; none where there is no point."""
    points = figure.points
    if not points:
        return None
    chart = Chart(figure.title, f"{figure.y_label} against {figure.x_label}, a mark a model.")
    across = [*(p.x for p in points), *(at for line in figure.lines for at in line.x)]
    up = [*(p.y for p in points), *(at for line in figure.lines for at in line.y)]
    x = _scale(across, LEFT + 8, WIDTH - RIGHT - 8, log=figure.log_x)
    y = _scale(up, FLOOR, TOP, log=figure.log_y)
    chart.y_axis(y, figure.y_label)
    chart.x_axis(x, figure.x_label)
    chart.add(*(_bound(line, x, y) for line in figure.lines))
    front = sorted((p for p in points if p.on_front), key=lambda p: p.x)
    if len(front) > 1:
        chart.add(path(stairs([(x(p.x), y(p.y)) for p in front]), "front"))
    look = looks(dict.fromkeys(family_name(p.family) for p in points))
    for p in points:
        tip = f"{p.name}, {p.precision}: {short(p.x)}, {short(p.y)}"
        number = look[family_name(p.family)]
        chart.add(mark(x(p.x), y(p.y), number, tip, hollow=p.precision != "fp32"))
    named = points if len(points) <= FEW else front
    places = [(x(p.x), y(p.y)) for p in named]
    everywhere = [(x(p.x), y(p.y)) for p in points]
    name_points(chart, places, [(p.name, "plain") for p in named], everywhere)
    return tag("div", chart.svg(), _legend(points, look))


def _bound(line: Line, x: Scale, y: Scale) -> Html:
    """Return a line that bounds the points, with its name where it begins."""
    places = [(x(at), y(value)) for at, value in zip(line.x, line.y, strict=True)]
    left, low = places[0]
    return join(path(places, "bound", line.name), text(left + 4, low - 6, line.name, "note"))


def _scale(values: Sequence[float], start: float, end: float, *, log: bool) -> Scale:
    if log and min(values) > 0:
        return logarithmic(values, start, end)
    return linear(values, start, end, pad=0.15)


def _legend(points: Sequence[Point], look: dict[str, int]) -> Html:
    rows = [_key(name, number, hollow=False) for name, number in look.items()]
    if any(p.precision != "fp32" for p in points):
        others = dict.fromkeys(p.precision for p in points if p.precision != "fp32")
        rows.append(_key(f"hollow: {', '.join(others)}", 0, hollow=True))
    return tag("ul", rows, class_="legend")


def _key(name: str, look: int, *, hollow: bool) -> Html:
    sample = tag(
        "svg",
        mark(7, 7, look, hollow=hollow),
        viewbox="0 0 14 14",
        class_="key",
        aria_hidden="true",
    )
    return tag("li", sample, name)
