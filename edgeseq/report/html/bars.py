"""Bars with one row a name: a quantity, or what it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeseq.report.html.chart import BOTTOM, RIGHT, WIDTH, Chart, line, text, tip_of
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.scale import Scale, linear
from edgeseq.report.numbers import NOT_MEASURED, short

LABELS, TOP, ROW = 138, 34, 30
"""Pixels for the names at the left, above the first row, and for each row."""
NUMBER = 42
"""Pixels kept free at the right for a number."""


@dataclass(frozen=True)
class Part:
    """A stretch of a bar; a negative one goes back."""

    value: float
    class_: str
    tip: str = ""
    key: str = ""
    """Written inside, where there is room."""


@dataclass(frozen=True)
class Bar:
    """A row; without parts it was not measured."""

    name: str
    class_: str
    parts: tuple[Part, ...] = ()
    note: str = ""
    """Written behind the total."""

    @property
    def total(self) -> float:
        """Where the last part ends."""
        return sum(part.value for part in self.parts)

    @property
    def ends(self) -> list[float]:
        """Where parts begin and end."""
        return [sum(part.value for part in self.parts[:n]) for n in range(len(self.parts) + 1)]


def rows(title: str, description: str, names: Sequence[tuple[str, str]]) -> Chart:
    """Return a chart with each (name, class) at the left of its row."""
    chart = Chart(title, description, height=TOP + ROW * len(names) + BOTTOM + 6)
    for row, (name, class_) in enumerate(names):
        chart.add(text(LABELS - 10, middle(row) + 4, name, f"name {class_}", "end"))
    return chart


def middle(row: int) -> float:
    """Return the height of a row's middle."""
    return TOP + (row + 0.5) * ROW


def draw(
    title: str,
    description: str,
    label: str,
    bars: Sequence[Bar],
    *,
    mark: tuple[str, float] | None = None,
    room: float = NUMBER,
) -> Html:
    """Draw `bars` from zero, each with its total behind it; a dashed line across marks a value."""
    chart = rows(title, description, [(bar.name, bar.class_) for bar in bars])
    known = [end for bar in bars for end in bar.ends]
    x = linear([*known, mark[1] if mark else 0], LABELS, WIDTH - RIGHT - room, zero=True)
    chart.x_axis(x, label, x.ticks(4))
    for row, bar in enumerate(bars):
        y = middle(row)
        if not bar.parts:
            chart.add(text(LABELS, y + 4, NOT_MEASURED, "note"))
            continue
        chart.add(*_stretches(x, y, bar))
        behind = max(x(max(bar.ends)), x(0) + 1.0) + 6
        chart.add(text(behind, y + 4, f"{short(bar.total)}{bar.note}", "tick"))
    if mark:
        at = x(mark[1])
        chart.add(line(at, TOP - 6, at, chart.height - BOTTOM, "baseline"))
        chart.add(text(at, TOP - 12, f"{mark[0]} {short(mark[1])}", "note", "middle"))
    return chart.svg()


def _stretches(x: Scale, y: float, bar: Bar) -> list[Html]:
    """Return a bar's parts, one after the other; one alone is never too thin to be seen."""
    least = 1.0 if len(bar.parts) == 1 else 0.0
    marks = []
    for part, start in zip(bar.parts, bar.ends, strict=False):
        left, right = sorted((x(start), x(start + part.value)))
        width = max(right - left, least)
        marks.append(
            tag(
                "rect", tip_of(part.tip), x=left, y=y - 6, width=width, height=12,
                class_=f"bar {part.class_}",
            )
        )  # fmt: skip
        if part.key and width > 8 * len(part.key) + 4:
            marks.append(text((left + right) / 2, y + 4, part.key, "key", "middle"))
    return marks
