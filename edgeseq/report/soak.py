"""A soak as tables: what was promised first, then each slope, then what it must be read with."""

from collections.abc import Iterator

from edgeseq.bench.soak import SoakedVariant, SoakResult
from edgeseq.bench.trends import Trend
from edgeseq.report.bench import verdicts
from edgeseq.report.numbers import NOT_MEASURED, duration, percent, scientific, short
from edgeseq.report.sheet import Sheet
from edgeseq.report.text import machine_line

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 20
"""Windows of a sparkline; of more, the medians of neighbours."""


def soak_sheets(result: SoakResult) -> list[Sheet]:
    """Return what became of a soak."""
    rows = tuple(
        _row(variant, found)
        for variant in result.variants
        for found in (*variant.trends, variant.plain)
    )
    columns = (
        "soaked", "what", "at first>", "at last>", "per hour>", "per 10⁶ steps>", "over the soak>",
        f"{percent(result.settings.confidence, 0)}>", "window by window",
    )  # fmt: skip
    return [verdicts(result.budget), Sheet(columns, rows), Sheet((), (), tuple(_said(result)))]


def sparkline(values: tuple[float, ...]) -> str:
    """Draw `values` as bars from the least to the most; all alike are low.

    >>> sparkline((1.0, 2.0, 3.0)), sparkline((5.0, 5.0))
    ('▁▅█', '▁▁')
    """
    points = [_median(part) for part in _parts(values)]
    least, span = min(points, default=0.0), max(points, default=0.0) - min(points, default=0.0)
    top = len(BARS) - 1
    return "".join(BARS[round(top * (point - least) / span) if span else 0] for point in points)


def _row(variant: SoakedVariant, found: Trend) -> tuple[str, ...]:
    quarter = max(1, len(found.values) // 4)
    names = {"latency": "latency / control", "plain latency": "latency, not judged"}
    return (
        variant.name,
        f"{names.get(found.quantity, found.quantity)}, {found.unit}",
        scientific(_median(found.values[:quarter])) if found.values else NOT_MEASURED,
        scientific(_median(found.values[-quarter:])) if found.values else "",
        _signed(found.per_hour),
        _signed(found.per_million_steps),
        _signed(found.change),
        f"{_signed(found.change_low)} to {_signed(found.change_high)}" if found.slope else "",
        sparkline(found.values),
    )


def _said(result: SoakResult) -> Iterator[str]:
    """Yield what the figures above must be read with."""
    if result.interrupted:
        yield "Interrupted: this is what was measured until then."
    for variant in result.variants:
        forgets = (
            f"a fresh session run in over {variant.run_in:,} frames answers alike"
            if variant.forgets
            else f"its state remembers more than {variant.run_in:,} frames: drift has a level"
        )
        yield (
            f"{variant.name}: {variant.steps:,} steps in {duration(variant.seconds)}, "
            f"{len(variant.at_steps)} windows; {forgets}; the control ran "
            f"{percent(variant.control_share, 0)} of its steps."
        )
    rate = result.settings.rate_hz
    pace = f"paced at {rate:g} Hz" if rate else "one step after the other"
    found = result.conditions
    load = NOT_MEASURED if found.load_after is None else short(found.load_after)
    stolen = NOT_MEASURED if found.stolen is None else percent(found.stolen)
    yield f"Conditions: {pace}, load {load} at the end, stolen by the hypervisor {stolen}."
    yield (
        "Latency is the ratio to a control session that runs only now and then, in turns; memory "
        "is what the stream's own turns added; drift is against that control, reset and run in "
        "anew; state is the largest value of the tensor that changed most, against the control's."
    )
    yield f"{result.status.capitalize()} on {machine_line(result.machine)}."


def _signed(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return scientific(value) if value <= 0 else f"+{scientific(value)}"


def _parts(values: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    size = max(1, -(-len(values) // WIDTH))
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _median(values: tuple[float, ...]) -> float:
    ranked = sorted(values)
    return ranked[len(ranked) // 2]
