"""How a family looks in every figure of claims: told apart in grey, and by whoever sees no hues.

Shape, dash and lightness each say it alone; the hue only helps. Names stand beside what they name.
"""

import math
from collections.abc import Iterable

from edgeseq.claims.panels import NAMES
from edgeseq.report.html.chart import tip_of
from edgeseq.report.html.markup import Html, tag

LOOKS = 8
"""Shapes, dashes and shades that there are."""
ALWAYS = ("LSTM", "Transformer", "GRU", "hybrid", "CNN", "ViT", "encoder")
"""Families that look alike in every figure."""
RADIUS = 4.5


def family_name(family: str) -> str:
    """Return a family as people write it."""
    return NAMES.get(family, family)


def looks(names: Iterable[str]) -> dict[str, int]:
    """Return the number of each name's look: families have theirs, others take what is free."""
    each = [*dict.fromkeys(names)]
    found = {name: ALWAYS.index(name) for name in each if name in ALWAYS}
    free = [look for look in range(LOOKS) if look not in found.values()] or [*range(LOOKS)]
    others = [name for name in each if name not in found]
    return found | {name: free[place % len(free)] for place, name in enumerate(others)}


def mark(
    x: float, y: float, look: int, tip: str = "", *, hollow: bool = False, radius: float = RADIUS
) -> Html:
    """Return the mark of a look at a place; hovering shows `tip`."""
    class_ = f"mark s{look}" + (" hollow" if hollow else "")
    return tag("path", tip_of(tip), d=_shape(x, y, look, radius), class_=class_)


def _shape(x: float, y: float, look: int, radius: float) -> str:
    if look == 0:
        return (
            f"M{x - radius:.1f} {y:.1f}a{radius} {radius} 0 1 0 {2 * radius} 0"
            f"a{radius} {radius} 0 1 0 {-2 * radius} 0z"
        )
    corners, turn, size = _CORNERS[look]
    angles = (2 * math.pi * n / len(corners) + turn for n in range(len(corners)))
    points = (
        f"{x + size * radius * far * math.sin(angle):.1f} "
        f"{y - size * radius * far * math.cos(angle):.1f}"
        for far, angle in zip(corners, angles, strict=True)
    )
    return f"M{'L'.join(points)}z"


_CORNERS: dict[int, tuple[tuple[float, ...], float, float]] = {
    1: ((1.0,) * 4, math.pi / 4, 1.25),  # square
    2: ((1.0,) * 3, 0.0, 1.35),  # triangle
    3: ((1.0,) * 4, 0.0, 1.35),  # diamond
    4: ((1.0,) * 3, math.pi, 1.35),  # triangle on its tip
    5: ((1.0, 0.45) * 5, 0.0, 1.5),  # star
    6: ((1.0, 0.4) * 4, math.pi / 4, 1.5),  # cross
    7: ((1.0,) * 6, 0.0, 1.15),  # hexagon
}
"""How far each corner is out, by how much the shape is turned, and its size."""
