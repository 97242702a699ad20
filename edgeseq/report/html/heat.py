"""A heat map: values by row and column as shades of one colour, with a bar that says which is what.

The ramp is the theme's ink for data at growing opacity, so lightness alone carries the value: it
reads in grey, in print, on dark paper, and without telling colours apart. A small map has its
numbers in its cells; a large one is drawn as runs of equal shade, a few bytes each, after it was
averaged down to what a screen can show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.report.html.chart import RIGHT, WIDTH, Chart, text, tip_of
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.numbers import NOT_MEASURED, short

Values = NDArray[np.float64]

SHADES = 16
"""Steps of the ramp; neighbours are told apart, and runs of one shade stay long."""
MOST = (64, 128)
"""Rows and columns of a map that are drawn; of more, means."""
FEW = 14
"""Columns up to which a map has a number in each cell."""
ROW, TOP, BOTTOM = 22, 46, 40
"""Pixels of a row with numbers, above the first row, and below the last."""
BAR, LETTER = 120, 6.2
"""Pixels of the scale bar, and of a letter."""
_ROUND: list[int] = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]
HIGH = 0.94
"""Opacity of the largest value."""


class HeatData(Protocol):
    """What a heat map shows."""

    @property
    def title(self) -> str:
        """What it is."""

    @property
    def rows(self) -> Sequence[str]:
        """Name of each row, top to bottom."""

    @property
    def columns(self) -> Sequence[str]:
        """Name of each column, left to right."""

    @property
    def values(self) -> Sequence[Sequence[float | None]] | Values:
        """By row and column; none: not measured."""

    @property
    def unit(self) -> str:
        """Of the values."""


@dataclass(frozen=True)
class Heat:
    """A heat map as plain data."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]] | Values
    unit: str = ""


def heat(
    data: HeatData,
    *,
    row_label: str = "",
    column_label: str = "",
    low: float | None = None,
    high: float | None = None,
    left: float | None = None,
    height: float | None = None,
    most: tuple[int, int] = MOST,
) -> Html:
    """Draw `data`.

    Args:
        data: names and values.
        row_label: what rows are.
        column_label: what columns are.
        low: value of the lightest shade; none: the least there is.
        high: value of the darkest; none: the largest there is.
        left: pixels for the names of rows; none: as many as they take.
        height: pixels of all rows; none: what suits them.
        most: rows and columns that are drawn; of more, means.
    """
    given = np.array([[np.nan if v is None else v for v in row] for row in data.values], np.float64)
    numbers = given.shape[1] <= FEW
    values, rows, columns = shrunk(given, data.rows, data.columns, most)
    start = left if left is not None else 14 + LETTER * max(map(len, (*rows, row_label[:20])))
    tall = height or (ROW * len(rows) if numbers else min(260, max(60, 5 * len(rows))))
    ramp = _ramp(given, low, high)
    chart = Chart(
        data.title,
        f"{len(data.rows)} rows by {len(data.columns)} columns, from "
        f"{short(ramp.low)} to {short(ramp.high)} {data.unit}".rstrip()
        + ".",
        height=round(TOP + tall + BOTTOM),
    )
    place = _Place(start, TOP, (WIDTH - RIGHT - start) / len(columns), tall / len(rows))
    chart.add(*_scale_bar(ramp, data.unit))
    chart.add(*(_numbered if numbers else _runs)(values, ramp, place, rows, columns))
    chart.add(*_row_names(rows, row_label, place))
    chart.add(*_column_names(columns, column_label, place, TOP + tall))
    return chart.svg()


def shrunk(
    values: Values,
    rows: Sequence[str],
    columns: Sequence[str],
    most: tuple[int, int] = MOST,
) -> tuple[Values, list[str], list[str]]:
    """Return at most so many rows and columns: means of neighbours, under the first one's name."""
    names, known = [list(rows), list(columns)], np.isfinite(values)
    total, count = np.where(known, values, 0.0), known.astype(np.int64)
    for axis, limit in enumerate(most):
        if total.shape[axis] > limit:
            starts = np.arange(limit) * total.shape[axis] // limit
            total = np.add.reduceat(total, starts, axis)
            count = np.add.reduceat(count, starts, axis)
            names[axis] = [names[axis][start] for start in starts]
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means, names[0], names[1]


@dataclass(frozen=True)
class _Ramp:
    """From values to shades 0 … `SHADES - 1`."""

    low: float
    high: float

    def shades(self, values: Values) -> NDArray[np.int64]:
        """Return the shade of each value; -1: not measured."""
        span = self.high - self.low or 1.0
        known = np.isfinite(values)
        share = np.clip((np.where(known, values, self.low) - self.low) / span, 0, 1)
        return np.where(known, np.minimum(share * SHADES, SHADES - 1).astype(np.int64), -1)

    @staticmethod
    def opacity(shade: int) -> float:
        """Return how much of the colour a shade has; the first one has none."""
        return round(HIGH * shade / (SHADES - 1), 2)


@dataclass(frozen=True)
class _Place:
    """Where cells lie."""

    left: float
    top: float
    wide: float
    tall: float

    def middle(self, row: float, column: float) -> tuple[float, float]:
        """Return the middle of a cell."""
        return self.left + (column + 0.5) * self.wide, self.top + (row + 0.5) * self.tall


def _ramp(values: Values, low: float | None, high: float | None) -> _Ramp:
    """Return the ramp from `low` to `high`, or between the values' own ends."""
    known = values[np.isfinite(values)]
    if not len(known):
        return _Ramp(low or 0.0, 1.0 if high is None else high)
    return _Ramp(
        float(known.min()) if low is None else low, float(known.max()) if high is None else high
    )


def _numbered(
    values: Values, ramp: _Ramp, place: _Place, rows: Sequence[str], columns: Sequence[str]
) -> list[Html]:
    """Draw each cell with its number in it."""
    marks: list[Html] = []
    for row, shades in enumerate(ramp.shades(values)):
        for column, shade in enumerate(map(int, shades)):
            x, y = place.middle(row, column)
            value = values[row, column]
            known = shade >= 0
            said = short(float(value)) if known else NOT_MEASURED
            marks.append(
                tag(
                    "rect", tip_of(f"{rows[row]}, {columns[column]}: {said}"),
                    x=x - place.wide / 2, y=y - place.tall / 2,
                    width=place.wide, height=place.tall,
                    class_="shade" if known else "unknown",
                    fill_opacity=ramp.opacity(shade) if known else None,
                )
            )  # fmt: skip
            dark = ramp.opacity(shade) > 0.55
            words = said if known else "-"
            if LETTER * len(words) < place.wide:
                marks.append(text(x, y + 4, words, "on-dark" if dark else "on-light", "middle"))
    return marks


def _runs(
    values: Values, ramp: _Ramp, place: _Place, rows: Sequence[str], columns: Sequence[str]
) -> list[Html]:
    """Draw runs of one shade as strokes, all of a shade in one path, in units of cells."""
    steps: dict[int, list[str]] = {}
    for row, shades in enumerate(ramp.shades(values)):
        ends = [0, *(np.flatnonzero(np.diff(shades)) + 1), len(shades)]
        for begin, end in pairwise(ends):
            steps.setdefault(int(shades[begin]), []).append(f"M{begin} {row}h{end - begin}")
    paths = [
        tag(
            "path", d="".join(steps[shade]), class_="run" if shade > 0 else "run unknown",
            stroke_opacity=ramp.opacity(shade) if shade > 0 else None,
        )
        for shade in sorted(steps)
        if shade
    ]  # fmt: skip
    moved = (
        f"translate({place.left:.2f} {place.top:.2f}) scale({place.wide:.4f} {place.tall:.4f}) "
        "translate(0 .5)"
    )
    wide, tall = place.wide * len(columns), place.tall * len(rows)
    edge = tag("rect", x=place.left, y=place.top, width=wide, height=tall, class_="edge")
    return [tag("g", *paths, transform=moved), edge]


def _scale_bar(ramp: _Ramp, unit: str) -> list[Html]:
    """Draw the ramp with what its ends mean, at the right above the map."""
    start, end, y = WIDTH - RIGHT - BAR, WIDTH - RIGHT, 22.0
    step = BAR / SHADES
    bar = [
        tag(
            "rect", x=start + shade * step, y=y, width=step + 0.2, height=8.0, class_="shade",
            fill_opacity=ramp.opacity(shade),
        )
        for shade in range(SHADES)
    ]  # fmt: skip
    edge = tag("rect", x=start, y=y, width=float(BAR), height=8.0, class_="edge")
    return [
        *bar,
        edge,
        text(start, y - 5, short(ramp.low, 2), "tick"),
        text(end, y - 5, f"{short(ramp.high, 2)} {unit}".rstrip(), "tick", "end"),
    ]


def _row_names(rows: Sequence[str], label: str, place: _Place) -> list[Html]:
    """Write as many names as there is room for, the first one always."""
    marks = [text(0, place.top - 8, label, "label")] if label else []
    for row in range(0, len(rows), _every(13 / place.tall)):
        _, y = place.middle(row, 0)
        marks.append(text(place.left - 6, y + 4, rows[row], "tick", "end"))
    return marks


def _column_names(columns: Sequence[str], label: str, place: _Place, bottom: float) -> list[Html]:
    """Write as many names as there is room for; where each has a place of its own, cut to it."""
    few = len(columns) <= FEW
    every = 1 if few else _every((LETTER * max(map(len, columns)) + 10) / place.wide)
    fit = max(1, int(place.wide / LETTER)) if few else 99
    marks = [text(WIDTH - RIGHT, bottom + 34, label, "label", "end")] if label else []
    for column in range(0, len(columns), every):
        x, _ = place.middle(0, column)
        name = columns[column]
        said = name if len(name) <= fit else name[: fit - 1] + "…"
        mark = text(x, bottom + 16, said, "tick", "middle")
        marks.append(mark if said == name else tag("g", tip_of(name), mark))
    return marks


def _every(least: float) -> int:
    """Return the round number of steps from one name to the next, `least` or more."""
    return next(step for step in _ROUND if step >= least)
