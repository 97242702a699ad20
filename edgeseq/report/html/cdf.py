"""Distributions of latencies: the share of steps that took at most so long."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeseq.bench.stats import Latency
from edgeseq.report.html.chart import BOTTOM, TOP, Chart, path
from edgeseq.report.html.scale import Scale, linear
from edgeseq.report.numbers import micro

LEVELS = np.linspace(0.005, 0.99, 150)
"""Drawn quantiles; what lies beyond is a matter of the machine's other work."""


@dataclass(frozen=True)
class Curve:
    """One distribution."""

    name: str
    """What hovering shows, before its percentiles."""
    class_: str
    latency: Latency

    def at(self, level: float) -> float:
        """Return the quantile at `level`, in microseconds."""
        return float(self.latency.quantiles_us(np.array([level]))[0])


def draw(chart: Chart, curves: Sequence[Curve], x: Scale) -> Scale:
    """Draw `curves` with both axes and return the scale of the shares, in per cent."""
    y = linear([0, 100], chart.height - BOTTOM, TOP, pad=0)
    chart.y_axis(y, "steps answered, %", [0, 25, 50, 75, 100])
    chart.x_axis(x, "step latency, µs", x.ticks(4))
    for curve in curves:
        item = curve.latency
        points = [
            (x(value), y(100 * level))
            for value, level in zip(item.quantiles_us(LEVELS), LEVELS, strict=True)
        ]
        tip = f"{curve.name}: p50 {micro(item.p50_us)}, p99 {micro(item.p99_us)}"
        chart.add(path(points, curve.class_, tip))
    return y
