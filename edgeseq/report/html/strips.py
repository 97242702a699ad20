"""Curves and bars of one input, strip under strip on one axis of frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeseq.report.html.chart import BOTTOM, LEFT, RIGHT, WIDTH, Chart, line, path, text, tidy
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.scale import Scale, linear

Exact = NDArray[np.float64]

STRIP, HEAD, TOP = 84, 22, 8
"""Pixels of a strip, of its name, and above the first one."""
POINTS = 360
"""Points of a curve that are drawn, or bars of a strip; of more, means."""
COLOURS = 5
"""Curves of a strip that are told apart."""


@dataclass(frozen=True)
class Curves:
    """A strip of curves that share a unit."""

    name: str
    curves: Sequence[tuple[str, Exact]]
    """Name and values, evenly spaced over all frames."""


@dataclass(frozen=True)
class Bars:
    """A strip of one bar a frame; below zero they hang."""

    name: str
    values: Exact


def strips(
    title: str, description: str, parts: Sequence[Curves | Bars], frames: int, label: str
) -> Html:
    """Draw `parts` under each other, over `frames` frames; `label` says what the axis is."""
    chart = Chart(title, description, height=TOP + STRIP * len(parts) + BOTTOM)
    x = Scale(0, frames, LEFT, WIDTH - RIGHT)
    for number, part in enumerate(parts):
        top = TOP + STRIP * number
        if isinstance(part, Curves):
            _curves(chart, part, x, top)
        else:
            _bars(chart, part, x, top)
    ticks = [tick for tick in x.ticks() if tick == int(tick)]
    chart.x_axis(x, label, ticks)
    return chart.svg()


def _curves(chart: Chart, part: Curves, x: Scale, top: float) -> None:
    points = [_fewer(values) for _, values in part.curves]
    known = np.concatenate(points)
    y = linear([float(known.min()), float(known.max())], top + STRIP - 6, top + HEAD)
    _frame(chart, y)
    chart.add(text(LEFT, top + 14, part.name, "label"))
    at = LEFT + 6.4 * len(part.name) + 12
    for number, ((name, _), values) in enumerate(zip(part.curves, points, strict=True)):
        look = f"c{number % COLOURS} k0"
        places = (np.arange(len(values)) + 0.5) / len(values) * x.high
        line_ = [(x(float(p)), y(float(v))) for p, v in zip(places, values, strict=True)]
        chart.add(path(line_, look, name))
        chart.add(text(at, top + 14, name, f"name {look}"))
        at += 6.4 * len(name) + 12


def _bars(chart: Chart, part: Bars, x: Scale, top: float) -> None:
    values = _fewer(part.values)
    ends = [min(0.0, float(values.min())), max(0.0, float(values.max()))]
    y = linear(ends if ends[0] < ends[1] else [0.0, 1.0], top + STRIP - 6, top + HEAD, pad=0)
    _frame(chart, y)
    edges = [x(float(edge)) for edge in np.linspace(0, x.high, len(values) + 1)]
    drawn = " ".join(
        f"M{start:.1f} {y(0):.1f}V{y(float(value)):.1f}H{end:.1f}V{y(0):.1f}z"
        for (start, end), value in zip(pairwise(edges), values, strict=True)
        if value
    )
    if drawn:
        chart.add(tag("path", d=drawn, class_="bars"))
    chart.add(line(x.start, y(0), x.end, y(0), "axis"))
    chart.add(text(LEFT, top + 14, part.name, "label"))


def _frame(chart: Chart, y: Scale) -> None:
    """Draw the lines across a strip, at most three."""
    ticks = y.ticks(3)
    for tick in ticks[:: -(-len(ticks) // 3)]:
        chart.add(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
        chart.add(text(LEFT - 6, y(tick) + 4, tidy(tick), "tick", "end"))


def _fewer(values: Exact) -> Exact:
    """Return at most `POINTS` values, means of neighbours."""
    if len(values) <= POINTS:
        return values
    return np.array([part.mean() for part in np.array_split(values, POINTS)])
