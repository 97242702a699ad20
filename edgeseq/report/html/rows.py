"""Figures with one row a variant: latency hot and paced, memory, CPU time."""

from collections.abc import Callable

from edgeseq.bench.stats import Latency
from edgeseq.report.demo import DemoResult, VariantReport
from edgeseq.report.html import bars
from edgeseq.report.html.bars import LABELS, TOP
from edgeseq.report.html.chart import BOTTOM, RIGHT, WIDTH, dot, line, text
from edgeseq.report.html.look import Look, looks
from edgeseq.report.html.markup import Html
from edgeseq.report.html.scale import Scale, logarithmic
from edgeseq.report.numbers import NOT_MEASURED, micro


def latency_per_variant(result: DemoResult) -> Html:
    """Draw p50 to p99 of each variant, hot (full dot) and paced (ring)."""
    shown = list(looks(result))
    chart = bars.rows(
        "Latency hot and paced",
        "A line from p50 to p99; dot: hot loop, ring: paced.",
        [(look.name, look.class_) for look in shown],
    )
    times = [
        value
        for look in shown
        for item in (look.variant.hot, _paced(look.variant))
        if item
        for value in (item.p50_us, item.p99_us)
    ]
    x = logarithmic(times, LABELS, WIDTH - RIGHT, pad=1.2)
    for tick in x.ticks(4):
        chart.add(line(x(tick), TOP - 8, x(tick), chart.height - BOTTOM, "grid"))
    chart.x_axis(x, "one step, µs: dot or ring p50, tick p99", x.ticks(4))
    for row, look in enumerate(shown):
        y = bars.middle(row)
        for item, kind, up in ((look.variant.hot, "hot", -4), (_paced(look.variant), "paced", 4)):
            if item:
                chart.add(*_span(x, y + up, item, look, kind))
        if look.variant.hot is None:
            chart.add(text(LABELS, y + 4, NOT_MEASURED, "note"))
    chart.add(*_key(result, shown))
    return chart.svg()


def _paced(variant: VariantReport) -> Latency | None:
    return variant.paced.step if variant.paced else None


def _span(x: Scale, y: float, item: Latency, look: Look, kind: str) -> list[Html]:
    left, right = x(item.p50_us), x(item.p99_us)
    colour = look.class_.partition(" ")[0]
    tip = f"{look.name}, {kind}: p50 {micro(item.p50_us)}, p99 {micro(item.p99_us)}"
    hollow = f"{colour} int8" if kind == "paced" else colour
    return [
        line(left, y, right, y, f"line {colour}"),
        line(right, y - 3.5, right, y + 3.5, f"line {colour}"),
        dot(left, y, hollow, tip, radius=4.0),
    ]


def _key(result: DemoResult, shown: list[Look]) -> list[Html]:
    """Name the dot and the ring where they first occur, above the rows."""
    if not any(look.variant.hot for look in shown):
        return []
    return [
        dot(LABELS + 4, 9, "key", radius=4.0),
        text(LABELS + 13, 13, "hot loop", "tick"),
        dot(LABELS + 84, 9, "key int8", radius=4.0),
        text(LABELS + 93, 13, f"paced{_at_rate(result)}", "tick"),
    ]


def _at_rate(result: DemoResult) -> str:
    return f" at {result.pace_settings.rate_hz:g} Hz" if result.pace_settings else ""


def memory_per_variant(result: DemoResult) -> Html:
    """Draw what each model adds to the runtime's memory."""
    return _bars(
        result,
        "Memory per variant",
        "Peak memory of a fresh process minus that of a session that does nothing.",
        "MiB of peak memory that the model adds",
        lambda variant: variant.memory.attributable_rss_mib if variant.memory else None,
    )


def cpu_per_variant(result: DemoResult) -> Html:
    """Draw the CPU seconds that an hour of streaming takes; a line marks the loop itself."""
    paced = result.harness.paced if result.harness else None
    loop = paced.cpu_seconds_per_hour if paced else None
    return _bars(
        result,
        "CPU time per variant",
        "CPU seconds of the whole process for one hour of frames.",
        f"CPU seconds for one hour{_at_rate(result)}",
        lambda variant: variant.paced.cpu_seconds_per_hour if variant.paced else None,
        mark=("the loop alone", loop) if loop else None,
    )


def _bars(
    result: DemoResult,
    title: str,
    description: str,
    label: str,
    value: Callable[[VariantReport], float | None],
    mark: tuple[str, float] | None = None,
) -> Html:
    drawn = []
    for look in looks(result):
        found = value(look.variant)
        parts = () if found is None else (bars.Part(found, look.class_),)
        drawn.append(bars.Bar(look.name, look.class_, parts))
    return bars.draw(title, description, label, drawn, mark=mark)
