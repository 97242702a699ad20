"""A small chart: a frame without a box, few ticks, and names written next to what they name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgeseq.report.html.markup import Html, join, tag
from edgeseq.report.html.scale import Scale, spread
from edgeseq.report.numbers import short

WIDTH, HEIGHT = 440, 290
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 40


@dataclass
class Chart:
    """One figure's drawing; marks are added in the order in which they are painted."""

    title: str
    """For people who do not see it."""
    description: str
    height: int = HEIGHT
    marks: list[Html] = field(default_factory=list)

    def add(self, *marks: Html) -> None:
        """Paint `marks` on top of what is there."""
        self.marks.extend(marks)

    def x_axis(
        self, scale: Scale, label: str, ticks: Sequence[float] | None = None, *,
        written: Callable[[float], str] | None = None,
    ) -> None:  # fmt: skip
        """Draw ticks and their numbers below, and the label under them."""
        bottom = self.height - BOTTOM
        self.add(line(scale.start, bottom, scale.end, bottom, "axis"))
        shown = scale.ticks() if ticks is None else ticks
        for value, number in zip(shown, _numbers(shown, written), strict=True):
            x = scale(value)
            self.add(line(x, bottom, x, bottom + 4, "axis"))
            self.add(text(x, bottom + 16, number, "tick", "middle"))
        self.add(text(scale.end, self.height - 6, label, "label", "end"))

    def y_axis(
        self, scale: Scale, label: str, ticks: Sequence[float] | None = None, *,
        written: Callable[[float], str] | None = None, right: float = WIDTH - RIGHT,
    ) -> None:  # fmt: skip
        """Draw faint lines across, their numbers at the left, and the label above."""
        shown = scale.ticks() if ticks is None else ticks
        for value, number in zip(shown, _numbers(shown, written), strict=True):
            y = scale(value)
            self.add(line(LEFT, y, right, y, "grid"))
            self.add(text(LEFT - 6, y + 4, number, "tick", "end"))
        self.add(text(0, 12, label, "label"))

    def names(
        self, entries: Sequence[tuple[float, float, str, str]], *, gap: float = 14.0,
        leaders: bool = False,
    ) -> None:  # fmt: skip
        """Write names at (x, y, name, class), moved apart where they would overlap.

        With `leaders` a thin line leads from a name to where it would have been.
        """
        low, high = float(TOP + 4), self.height - BOTTOM - 3.0
        placed = spread([y for _, y, _, _ in entries], gap, low, high)
        for (x, wanted, name, class_), y in zip(entries, placed, strict=True):
            if leaders and abs(y - wanted) > gap / 2:
                self.add(line(x - 6, wanted, x, y, "leader"))
            self.add(text(x, y + 4, name, f"name {class_}"))

    def svg(self) -> Html:
        """Return the drawing, with a title and a description that screen readers read."""
        return tag(
            "svg",
            tag("title", self.title),
            tag("desc", self.description),
            join(*self.marks),
            viewbox=f"0 0 {WIDTH} {self.height}",
            role="img",
            xmlns="http://www.w3.org/2000/svg",
        )


def _numbers(ticks: Sequence[float], written: Callable[[float], str] | None) -> list[str]:
    """Return what stands at ticks, with as many digits as it takes to tell them apart."""
    if written:
        return [written(value) for value in ticks]
    tries = ([tidy(value, digits) for value in ticks] for digits in range(3, 8))
    return next((found for found in tries if len(set(found)) == len(found)), [*map(tidy, ticks)])


def tidy(value: float, digits: int = 3) -> str:
    """Return a tick's number without trailing zeros."""
    written = short(value, digits)
    return written.rstrip("0").rstrip(".") if "." in written else written


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """Return a straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def text(x: float, y: float, words: str, class_: str, anchor: str | None = None) -> Html:
    """Return words at a place."""
    return tag("text", words, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def path(points: Sequence[tuple[float, float]], class_: str, tip: str = "") -> Html:
    """Return a line through `points`."""
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", tip_of(tip), d=f"M{steps}", class_=f"line {class_}")


def dot(x: float, y: float, class_: str, tip: str = "", radius: float = 4.5) -> Html:
    """Return a round mark; hovering shows `tip`."""
    return tag("circle", tip_of(tip), cx=float(x), cy=float(y), r=radius, class_=f"dot {class_}")


def dotted(points: Sequence[tuple[float, float]], class_: str, tips: Sequence[str]) -> list[Html]:
    """Return a line through `points` and a small dot on each, with its own tip."""
    dots = [dot(*point, class_, tip, radius=3.0) for point, tip in zip(points, tips, strict=True)]
    return [path(points, class_), *dots]


def tip_of(words: str) -> Html | None:
    """Return the element that browsers show when the mark is hovered."""
    return tag("title", words) if words else None
