"""The figures: what a model gives, what it costs, and how long it stays right."""

import numpy as np

from edgeseq.bench.stats import Latency
from edgeseq.report.demo import DemoResult
from edgeseq.report.html import cdf, scatter
from edgeseq.report.html.chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    dotted,
    path,
    text,
)
from edgeseq.report.html.look import Look, fastest, looks, metric_of
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.scale import Scale, linear, logarithmic
from edgeseq.report.numbers import exponent, micro, scientific, short

FLOOR = HEIGHT - BOTTOM
NAMES = 92
"""Pixels kept free at the right for the names of lines."""


def accuracy_against_size(result: DemoResult) -> Html | None:
    """Draw every variant, with the baselines as lines; the trivial one only if it is near."""
    points = [(look, look.variant.accuracy) for look in looks(result) if look.variant.accuracy]
    if not points:
        return None
    chart = Chart("Accuracy against size", "One point a variant; baselines are dashed lines.")
    near = _near_baselines(result, [accuracy.value for _, accuracy in points])
    drawn = [
        scatter.Point(
            look.variant.file_kib,
            accuracy.value,
            look.name,
            look.class_,
            f"{look.name}: {accuracy.value:.2f}, {short(look.variant.file_kib)} KiB",
        )
        for look, accuracy in points
    ]
    labels = "size of the ONNX file, KiB", metric_of(result)
    room = NAMES + 26 - RIGHT
    x, y = scatter.draw(chart, drawn, labels, baselines=near, room=room)
    placed = _together([((x(p.x), y(p.y)), p.name, p.class_) for p in drawn])
    chart.names([(*place, name, class_) for place, name, class_ in placed])
    return chart.svg()


Label = tuple[tuple[float, float], str, str]


def _together(labels: list[Label]) -> list[Label]:
    """Give points that lie on each other one label, to the right of both."""
    merged: list[Label] = []
    for (x, y), name, class_ in labels:
        near = next(
            (i for i, ((u, v), _, c) in enumerate(merged)
             if abs(x + 9 - u) < 24 and abs(y - v) < 12 and c == class_),
            None,
        )  # fmt: skip
        if near is None:
            merged.append(((x + 9, y), name, class_))
        else:
            (u, v), first, _ = merged[near]
            merged[near] = ((max(u, x + 9), v), f"{first}, {name.rpartition(' ')[2]}", class_)
    return merged


def _near_baselines(result: DemoResult, values: list[float]) -> dict[str, float]:
    """Return the baselines that can be drawn without pressing the models into a corner."""
    low, high = min(values), max(values)
    reach = max(8 * (high - low), 0.12 * abs(high))
    return {
        name: score.value
        for name, score in result.task.baselines.items()
        if low - reach <= score.value <= high + reach
    }


def latency_distribution(result: DemoResult) -> Html | None:
    """Draw the share of steps that were faster than x, of the shipped variants."""
    curves = [
        (look, when, latency)
        for look in fastest(result)
        for when, latency in (
            ("hot", look.variant.hot),
            ("paced", look.variant.paced.step if look.variant.paced else None),
        )
        if latency is not None
    ]
    if not curves:
        return None
    chart = Chart(
        "Distribution of step latency",
        "Share of steps that took at most so long, hot and paced, of the fastest variants.",
    )
    x = _with_room([item for _, _, item in curves], WIDTH - RIGHT)
    drawn = [
        cdf.Curve(f"{look.name}, {when}", f"{look.class_} {when}", item)
        for look, when, item in curves
    ]
    y = cdf.draw(chart, drawn, x)
    for look, when, item in curves:
        chart.add(*_beside(look, when, item, (x, y), left=_is_fastest(item, when, curves)))
    return chart.svg()


def _with_room(curves: list[Latency], right: float) -> Scale:
    """Return a scale on which a name fits left of the fastest curve and right of the slowest."""
    low, slowest = min(item.min_us for item in curves), max(item.p50_us for item in curves)
    high = max(item.p99_us for item in curves)
    share = (NAMES + 14) / (right - LEFT - 2 * (NAMES + 14))
    room = max(high / low, 2.0) ** share
    return logarithmic([low / room, high, slowest * room], LEFT, right, pad=1.0)


def _is_fastest(item: Latency, when: str, curves: list[tuple[Look, str, Latency]]) -> bool:
    return item.p50_us == min(other.p50_us for _, kind, other in curves if kind == when)


HEIGHTS = {("hot", True): 0.86, ("hot", False): 0.66, ("paced", True): 0.42, ("paced", False): 0.2}
"""Where a curve's name stands, by kind and side: four heights, so that no two names can meet."""


def _beside(
    look: Look, when: str, item: Latency, scales: tuple[Scale, Scale], *, left: bool
) -> list[Html]:
    """Write a curve's name at its side: the faster one's left of it, the slower one's right."""
    x, y = scales
    level = HEIGHTS[when, left]
    at = x(float(item.quantiles_us(np.array([level]))[0])) + (-7 if left else 7)
    height, anchor = y(100 * level), "end" if left else None
    return [
        text(at, height, look.name, f"name {look.class_}", anchor),
        text(at, height + 13, f"{when} {micro(item.p50_us)}", f"note {look.class_}", anchor),
    ]


def latency_by_position(result: DemoResult) -> Html | None:
    """Draw what one more answer costs after so many frames."""
    if not result.positions:
        return None
    chart = Chart(
        "Latency against position",
        "Median time of one answer against the frames seen so far, for step graphs and for a "
        "Transformer that computes all of them again.",
    )
    curves = result.positions
    x = logarithmic((p for c in curves for p in c.positions), LEFT, WIDTH - NAMES, pad=1.0)
    y = logarithmic((v for c in curves for v in c.median_us), FLOOR, TOP, pad=1.3)
    chart.y_axis(y, "one answer, µs", right=WIDTH - NAMES)
    chart.x_axis(x, "frames seen so far", curves[0].positions)
    names = []
    for curve in curves:
        class_ = "c0" if curve.name.lower().startswith("lstm") else "c1"
        class_ += " dashed" if "recompute" in curve.name else ""
        points = [(x(p), y(v)) for p, v in zip(curve.positions, curve.median_us, strict=True)]
        tips = [
            f"{curve.name}: {micro(value)} after {position} frames"
            for position, value in zip(curve.positions, curve.median_us, strict=True)
        ]
        chart.add(*dotted(points, class_, tips))
        names.append((points[-1][0] + 8, points[-1][1], curve.name, class_))
    chart.names(names)
    return chart.svg()


def drift(result: DemoResult) -> Html | None:
    """Draw the error of every variant along a long stream."""
    curves = [
        (look, look.variant.parity) for look in looks(result) if look.variant.parity is not None
    ]
    curves = [(look, parity) for look, parity in curves if parity.drift]
    if not curves:
        return None
    chart = Chart(
        "Drift", "RMS error against PyTorch on the whole sequence, along one uninterrupted stream."
    )
    steps = max(parity.steps for _, parity in curves)
    x = linear([0, steps], LEFT, WIDTH - NAMES - 40, pad=0)
    y = logarithmic((v for _, parity in curves for v in parity.drift), FLOOR, TOP, pad=2.5)
    chart.y_axis(y, "RMS error / RMS of the outputs", written=_power, right=WIDTH - NAMES - 40)
    chart.x_axis(x, "frames since the reset", x.ticks(4), written=lambda value: f"{value:,.0f}")
    names = []
    for look, parity in curves:
        width = parity.steps / len(parity.drift)
        points = [(x((i + 0.5) * width), y(v)) for i, v in enumerate(parity.drift)]
        tip = f"{look.name}: {scientific(parity.drift[-1])} at the end"
        chart.add(path(points, look.class_, tip))
        names.append((x(steps) + 6, points[-1][1], look.name, look.class_))
    chart.names(names)
    return chart.svg()


def _power(value: float) -> str:
    return f"10{exponent(value)}"


def confusion(look: Look, labels: tuple[str, ...]) -> Html | None:
    """Draw what was decided (columns) for what was true (rows)."""
    table = look.variant.confusion
    if not table:
        return None
    label, top = 138.0, 40.0
    cell = min((WIDTH - label) / len(table), 42.0)
    height = min(cell, 30.0)
    chart = Chart(
        f"Confusion matrix, {look.name}",
        "Rows: the true class. Columns: the class decided. Windows of the test people.",
        height=round(top + height * len(table) + 22),
    )
    chart.add(text(0, 12, f"{look.name}: true class (row), decided (column)", "label"))
    for row, counts in enumerate(table):
        y, total = top + row * height, max(sum(counts), 1)
        chart.add(text(label - 8, y + height / 2 + 4, f"{labels[row]}  {row + 1}", "tick", "end"))
        chart.add(text(label + (row + 0.5) * cell, top - 8, str(row + 1), "tick", "middle"))
        for column, count in enumerate(counts):
            tip = f"{labels[row]}, taken for {labels[column]}: {count} of {total}"
            chart.add(
                _cell(label + column * cell, y, (cell, height), count, total, look.class_, tip)
            )
    return chart.svg()


def _cell(
    x: float, y: float, size: tuple[float, float], count: int, total: int, class_: str, tip: str
) -> Html:
    """Return one shaded cell; an empty one stays empty."""
    width, height = size
    square = tag(
        "rect", x=x + 1, y=y + 1, width=width - 2, height=height - 2,
        class_=f"cell {class_}", fill_opacity=0.05 + 0.5 * count / total,
    )  # fmt: skip
    number = text(x + width / 2, y + height / 2 + 4, str(count) if count else "", "count", "middle")
    return tag("g", tag("title", tip), square, number)
