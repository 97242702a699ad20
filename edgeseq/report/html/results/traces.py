"""Paced runs as they went: every step's latency in its order, and the frames that were missed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.pace import Paced
from edgeseq.report.html.chart import BOTTOM, LEFT, RIGHT, WIDTH, Chart, line, path, text, tip_of
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.results.figure import Figure
from edgeseq.report.html.results.series import Series, cut, portions, series, source
from edgeseq.report.html.scale import Scale, linear, logarithmic
from edgeseq.report.numbers import micro
from edgeseq.report.results import Run

TOP, STRIP, HEAD = 26, 82, 30
"""Pixels above the first strip, of each strip, and of its name."""
COLUMNS = 180
"""Stretches of a run that are drawn; of each the fastest, the median and the slowest step."""
NAME = 20
"""Letters of a name that fit above a strip."""


def traces(run: Run) -> list[Figure]:
    """Draw each variant's steps against the time in its own paced run."""
    found = [(item, item.variant.paced) for item in series(run) if item.variant.paced]
    title = "Paced, step by step"
    if not found:
        return [Figure(title, None, source(run))]
    pace = run.result.pace_settings
    caption = (
        "Line: median step of each moment; strokes: its fastest to its slowest; crosses: frames "
        "answered after the next one was due. Each variant's turns are joined"
        + (f", {pace.segments} of them" if pace else "")
        + "; dotted lines part them."
    )
    if (every := max(_every(paced) for _, paced in found)) > 1:
        caption += f" One of {every} steps was kept: crosses mark misses among those."
    turns = pace.segments if pace else 1
    values = [value for _, paced in found for value in paced.step.samples_us]
    return [
        Figure(title, _strips(part, values, turns), source(run), caption)
        for part in portions(found)
    ]


def _every(paced: Paced) -> int:
    """Return of how many frames one was kept."""
    return -(-paced.frames // len(paced.step.samples_us))


def _strips(found: Sequence[tuple[Series, Paced]], values: Sequence[float], turns: int) -> Html:
    chart = Chart(
        "Paced, step by step",
        "Latency of each step against the time in the run; crosses mark missed frames.",
        height=TOP + STRIP * len(found) + BOTTOM,
    )
    seconds = max(paced.frames / paced.rate_hz for _, paced in found)
    x = linear([0, seconds], LEFT, WIDTH - RIGHT, pad=0)
    chart.add(text(0, 12, "one step, µs", "label"))
    for row, (item, paced) in enumerate(found):
        top = TOP + row * STRIP
        y = logarithmic(values, top + STRIP - 6, top + HEAD, pad=1.1)
        for tick in _few(y):
            chart.add(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
            chart.add(text(LEFT - 6, y(tick) + 4, f"{tick:,.0f}", "tick", "end"))
        for turn in range(1, turns):
            at = x(turn * paced.frames / turns / paced.rate_hz)
            chart.add(line(at, top + HEAD, at, top + STRIP - 6, "turn"))
        chart.add(*trace(item, paced, x, y))
        chart.add(text(LEFT, top + 12, _said(item, paced), f"name {item.class_}"))
    chart.x_axis(x, "seconds in the run")
    return chart.svg()


def _few(y: Scale) -> list[float]:
    """Return at most three ticks: a strip has no room for more."""
    ticks = y.ticks(2)
    return ticks[:: -(-len(ticks) // 3)]


def _said(item: Series, paced: Paced) -> str:
    missed = f"{paced.missed:,} of {paced.frames:,} missed"
    step = paced.step
    return f"{cut(item, NAME)}: p50 {micro(step.p50_us)}, max {micro(step.max_us)}, {missed}"


def trace(item: Series, paced: Paced, x: Scale, y: Scale) -> list[Html]:
    """Return the marks of one run, `COLUMNS` of them at most however long it was."""
    steps = paced.step.samples_us
    seconds = np.arange(len(steps)) * _every(paced) / paced.rate_hz
    cuts = np.array_split(np.arange(len(steps)), min(COLUMNS, len(steps)))
    at = [x(float(seconds[cut].mean())) for cut in cuts]
    spans = " ".join(
        f"M{place:.1f} {y(steps[cut].min()):.1f}V{y(steps[cut].max()):.1f}"
        for place, cut in zip(at, cuts, strict=True)
    )
    medians = [(p, y(float(np.median(steps[cut])))) for p, cut in zip(at, cuts, strict=True)]
    tip = f"{item.name}: p50 {micro(paced.step.p50_us)}, p99 {micro(paced.step.p99_us)}"
    return [
        tag("path", tip_of(tip), d=spans, class_=f"span {item.class_}"),
        path(medians, f"{item.class_} trace", tip),
        *_crosses(item, paced, cuts, seconds, at, y),
    ]


def _crosses(
    item: Series,
    paced: Paced,
    cuts: Sequence[NDArray[np.int64]],
    seconds: NDArray[np.float64],
    at: Sequence[float],
    y: Scale,
) -> list[Html]:
    """Return one cross for every moment in which frames were missed, above its slowest step."""
    missed, late = paced.misses, paced.late.samples_us
    marks = []
    for place, cut_ in zip(at, cuts, strict=True):
        hit = cut_[missed[cut_]]
        if len(hit):
            tip = (
                f"{item.name}: {len(hit)} missed from {seconds[hit[0]]:.2f} s on, woken up to "
                f"{micro(float(late[hit].max()))} late"
            )
            height = y(float(paced.step.samples_us[hit].max())) - 5
            cross = f"M{place - 3:.1f} {height - 3:.1f}l6 6m0 -6l-6 6"
            marks.append(tag("path", tip_of(tip), d=cross, class_="miss"))
    return marks
