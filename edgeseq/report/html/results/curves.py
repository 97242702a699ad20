"""Figures with one curve a variant: distributions, pauses, chunks."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from edgeseq.bench.chunks import ChunkFit
from edgeseq.bench.gaps import IdleGap
from edgeseq.bench.stats import Latency
from edgeseq.report.html import cdf
from edgeseq.report.html.chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    dot,
    dotted,
    line,
    path,
    text,
)
from edgeseq.report.html.markup import Html
from edgeseq.report.html.results.figure import Figure
from edgeseq.report.html.results.series import Series, legend, portions, series, source
from edgeseq.report.html.scale import logarithmic
from edgeseq.report.numbers import micro, short
from edgeseq.report.results import Run

FLOOR = HEIGHT - BOTTOM
MARKS = 34
"""Pixels kept free at the right for the marks of curves."""
LOWEST, HIGHEST = 0.1, 0.9
"""Between these shares of its steps a distribution's mark stands, each on a height of its own."""

Measured = tuple[Series, Latency]


def distributions(run: Run) -> list[Figure]:
    """Draw how long steps took, hot and paced."""
    found = series(run)
    hot = [(item, item.variant.hot) for item in found]
    paced = [(item, item.variant.paced.step) for item in found if item.variant.paced]
    pace = run.result.pace_settings
    floor = run.result.harness.floor.p50_us
    rate = f" at {pace.rate_hz:g} Hz" if pace else ""
    caption = (
        "One step after the other, in turns. Dashed line: a session that does nothing, "
        f"{micro(floor)}."
    )
    return [
        *_distribution(run, "Latency, hot", hot, caption, floor),
        *_distribution(run, f"Latency, paced{rate}", paced, "One step each period, in turns."),
    ]


def _distribution(
    run: Run, title: str, found: Sequence[Measured], caption: str, floor: float | None = None
) -> list[Figure]:
    if not found:
        return [Figure(title, None, source(run))]
    figures = []
    for drawn in portions(found):
        key = legend((i, _percentiles(v)) for i, v in drawn)
        figures.append(Figure(title, _cdf(title, drawn, found, floor), source(run), caption, key))
    return figures


def _percentiles(latency: Latency) -> str:
    return f"p50 {micro(latency.p50_us)}, p99 {micro(latency.p99_us)}"


def _cdf(
    title: str, drawn: Sequence[Measured], all_of: Sequence[Measured], floor: float | None
) -> Html:
    chart = Chart(title, "Share of steps that took at most so long, one curve a variant.")
    ends = [value for _, item in all_of for value in item.quantiles_us(cdf.LEVELS[[0, -1]])]
    x = logarithmic([*ends, *([floor] if floor else [])], LEFT, WIDTH - RIGHT, pad=1.12)
    curves = [cdf.Curve(item.name, item.class_, latency) for item, latency in drawn]
    y = cdf.draw(chart, curves, x)
    if floor:
        chart.add(line(x(floor), TOP, x(floor), FLOOR, "baseline"))
    order = sorted(range(len(drawn)), key=lambda n: -drawn[n][1].p50_us)
    for place, number in enumerate(order):
        level = LOWEST + (HIGHEST - LOWEST) * (place + 0.5) / len(order)
        item = drawn[number][0]
        at = x(curves[number].at(level)), y(100 * level) + 4
        chart.add(text(*at, item.mark, f"name {item.class_}", "middle"))
    return chart.svg()


def pauses(run: Run) -> list[Figure]:
    """Draw how long a step takes after the machine idled."""
    found = [(item, item.variant.idle) for item in series(run) if item.variant.idle]
    caption = "Median step after a pause; pauses stand side by side, not to scale."

    def said(gaps: tuple[IdleGap, ...]) -> str:
        return f"{micro(gaps[0].p50_us)} to {micro(gaps[-1].p50_us)}"

    return _many(run, "After a pause", found, _pauses, said, caption)


def _pauses(found: Sequence[tuple[Series, tuple[IdleGap, ...]]]) -> Html:
    chart = Chart("After a pause", "Median latency of the step after a pause, one curve a variant.")
    lengths = sorted({gap.gap_ms for _, gaps in found for gap in gaps})
    step = (WIDTH - MARKS - LEFT) / max(len(lengths) - 1, 1)
    places = {length: LEFT + 8 + number * (step - 8) for number, length in enumerate(lengths)}
    y = logarithmic((gap.p50_us for _, gaps in found for gap in gaps), FLOOR, TOP, pad=1.2)
    chart.y_axis(y, "one step, µs", right=WIDTH - MARKS)
    _length_axis(chart, places)
    names = []
    for item, gaps in found:
        points = [(places[gap.gap_ms], y(gap.p50_us)) for gap in gaps]
        tips = [f"{item.name}: {micro(g.p50_us)} after {g.gap_ms:g} ms" for g in gaps]
        chart.add(*dotted(points, item.class_, tips))
        names.append((points[-1][0] + 9, points[-1][1], item.mark, item.class_))
    chart.names(names, gap=12.5, leaders=True)
    return chart.svg()


def _length_axis(chart: Chart, places: dict[float, float]) -> None:
    """Write the length of every pause below its place."""
    ends = list(places.values())
    chart.add(line(ends[0], FLOOR, ends[-1], FLOOR, "axis"))
    for length, at in places.items():
        chart.add(line(at, FLOOR, at, FLOOR + 4, "axis"))
        chart.add(text(at, FLOOR + 16, f"{length:g}" if length else "none", "tick", "middle"))
    chart.add(text(ends[-1], HEIGHT - 6, "pause before the step, ms", "label", "end"))


def chunks(run: Run) -> list[Figure]:
    """Draw what a call of T frames takes, and the line a + bT through it."""
    found = [(item, item.variant.chunks) for item in series(run) if item.variant.chunks]
    caption = "Dots: medians of calls. Lines: a + bT, what a call and what a frame costs."

    def said(fit: ChunkFit) -> str:
        return f"{short(fit.overhead_us)} + {short(fit.frame_us)} T µs"

    return _many(run, "Frames in one call", found, _chunks, said, caption)


def _chunks(found: Sequence[tuple[Series, ChunkFit]]) -> Html:
    chart = Chart(
        "Frames in one call", "Latency of a call of T frames, with a line through the medians."
    )
    sizes = sorted({size for _, fit in found for size in fit.sizes})
    x = logarithmic(sizes, LEFT + 6, WIDTH - MARKS, pad=1.0)
    values = [value for _, fit in found for value in (*fit.median_us, _line(fit, fit.sizes[0]))]
    y = logarithmic(values, FLOOR, TOP, pad=1.2)
    chart.y_axis(y, "one call, µs", right=WIDTH - MARKS)
    chart.x_axis(x, "frames T in one call", sizes)
    names = []
    for item, fit in found:
        ends = np.geomspace(fit.sizes[0], fit.sizes[-1], 25)
        points = [(x(at), y(_line(fit, at))) for at in ends]
        chart.add(path(points, item.class_, f"{item.name}: {_said(fit)}"))
        for size, median in zip(fit.sizes, fit.median_us, strict=True):
            tip = f"{item.name}: {micro(median)} for {size} frames"
            chart.add(dot(x(size), y(median), item.class_, tip, radius=3.0))
        names.append((points[-1][0] + 9, points[-1][1], item.mark, item.class_))
    chart.names(names, gap=12.5, leaders=True)
    return chart.svg()


Value = TypeVar("Value")


def _many(
    run: Run,
    title: str,
    found: Sequence[tuple[Series, Value]],
    draw: Callable[[Sequence[tuple[Series, Value]]], Html],
    said: Callable[[Value], str],
    caption: str,
) -> list[Figure]:
    """Return as many figures as it takes, or one that says that nothing was measured."""
    if not found:
        return [Figure(title, None, source(run))]
    return [
        Figure(title, draw(part), source(run), caption, legend((item, said(v)) for item, v in part))
        for part in portions(found)
    ]


def _line(fit: ChunkFit, frames: float) -> float:
    return fit.overhead_us + fit.frame_us * frames


def _said(fit: ChunkFit) -> str:
    return (
        f"a {short(fit.overhead_us)} ({short(fit.overhead_low_us)} to "
        f"{short(fit.overhead_high_us)}), b {short(fit.frame_us)} ({short(fit.frame_low_us)} to "
        f"{short(fit.frame_high_us)}) µs"
    )
