"""Points in a plane of two quantities: baselines across, a front through those nobody beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgeseq.report.html.chart import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Chart, dot, line, path, text
from edgeseq.report.html.scale import Scale, linear, logarithmic


@dataclass(frozen=True)
class Point:
    """One thing with a cost and a score."""

    x: float
    y: float
    name: str
    """What is written beside it."""
    class_: str
    tip: str
    """What hovering shows."""


def draw(
    chart: Chart,
    points: Sequence[Point],
    labels: tuple[str, str],
    *,
    log: bool = True,
    room: float = 0.0,
    baselines: Mapping[str, float] | None = None,
    front: Sequence[Point] = (),
) -> tuple[Scale, Scale]:
    """Draw points with axes and return both scales; names are the caller's to place.

    Args:
        chart: is painted on.
        points: at least one.
        labels: of the horizontal and the vertical axis.
        log: whether the horizontal axis is logarithmic; else it begins at zero.
        room: pixels kept free at the right.
        baselines: names and values of lines across.
        front: points that no other beats, cheapest first; a staircase joins them.
    """
    known = baselines or {}
    places = [point.x for point in points]
    right = WIDTH - RIGHT - room
    x = (
        logarithmic(places, LEFT, right, pad=1.3)
        if log
        else linear(places, LEFT, right, zero=True, pad=0.12)
    )
    floor = chart.height - BOTTOM
    y = linear([*(point.y for point in points), *known.values()], floor, TOP, pad=0.15)
    chart.y_axis(y, labels[1])
    chart.x_axis(x, labels[0])
    for name, value in known.items():
        chart.add(line(LEFT, y(value), WIDTH - RIGHT, y(value), "baseline"))
        chart.add(text(LEFT + 4, y(value) - 5, f"{name} {value:.1f}", "note"))
    if len(front) > 1:
        chart.add(path(stairs([(x(point.x), y(point.y)) for point in front]), "front"))
    for point in points:
        chart.add(dot(x(point.x), y(point.y), point.class_, point.tip))
    return x, y


def stairs(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Go across to the next point's cost, then to its score: between them nothing is known."""
    steps = points[:1]
    for (_, y), (u, v) in pairwise(points):
        steps += [(u, y), (u, v)]
    return steps


Place = tuple[float, float]
NEAR = 2.0
"""Points that are no more pixels apart share one name."""
LETTER, LINE = 6.8, 13.0
"""Pixels that a letter and a line of a name take."""
RADII = (12.0, 20.0, 30.0, 42.0, 56.0, 72.0)
WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))


def name_points(
    chart: Chart,
    places: Sequence[Place],
    names: Sequence[tuple[str, str]],
    avoid: Sequence[Place] = (),
) -> None:
    """Write each (name, class) beside its place, where it covers neither a point nor a name.

    Points without a name are there to `avoid`.
    """
    taken = [_box(x, y, 11, 11) for x, y in (*places, *avoid)]
    for (x, y), name, class_ in _shared(places, names):
        width = LETTER * len(name)
        tries = [
            (x + way * (radius + (width - LETTER) / 2), y + up * radius)
            for radius in RADII
            for way, up in WAYS
        ]
        boxes = [_box(u, v, width, LINE) for u, v in tries]
        free = [i for i, box in enumerate(boxes) if _inside(box, chart) and not _hits(box, taken)]
        chosen = free[0] if free else 0
        (u, v), box = tries[chosen], boxes[chosen]
        taken.append(box)
        if chosen >= len(WAYS):
            chart.add(line(x, y, u, v, "leader"))
        chart.add(text(u, v + 4, name, f"name {class_}", "middle"))


def _shared(
    places: Sequence[Place], names: Sequence[tuple[str, str]]
) -> list[tuple[Place, str, str]]:
    """Join the names of points that lie on each other."""
    joined: list[tuple[Place, list[str], str]] = []
    for (x, y), (name, class_) in zip(places, names, strict=True):
        for (u, v), said, _ in joined:
            if abs(x - u) <= NEAR and abs(y - v) <= NEAR:
                said.append(name)
                break
        else:
            joined.append(((x, y), [name], class_))
    return [(place, _listed(said), class_) for place, said, class_ in joined]


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 5 else f"{names[0]} and {len(names) - 1} others"


Box = tuple[float, float, float, float]


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _hits(box: Box, others: list[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )


def _inside(box: Box, chart: Chart) -> bool:
    return (
        box[0] >= LEFT and box[2] <= WIDTH and box[1] >= TOP - 8 and box[3] <= chart.height - BOTTOM
    )
