"""A benchmark as tables: what was promised first, then what was measured, then under what."""

from collections.abc import Iterator

from edgeseq.bench.compare import Change, Comparison
from edgeseq.bench.results import BenchResult, VariantResult
from edgeseq.bench.stats import Ratio
from edgeseq.budget import Verdict
from edgeseq.report import occupied
from edgeseq.report.numbers import NOT_MEASURED, maybe, micro, percent, short
from edgeseq.report.sheet import Sheet
from edgeseq.report.text import machine_line

DEADLINE_PERIODS = 4
"""Frame periods that a chunk is advised for where nobody said how long an answer may take."""


def bench_sheets(result: BenchResult, *, deadline_ms: float | None = None) -> list[Sheet]:
    """Return all that was measured; `deadline_ms` is how old a frame may be when answered."""
    sheets = [_latency(result), _ratios(result.ratios), _paced(result), _idle(result)]
    sheets += [
        _chunks(result, deadline_ms),
        occupied.cold(result),
        occupied.memory(result),
        occupied.parts(result),
    ]
    sheets += [occupied.many(result), occupied.streams(result), occupied.gpu(result)]
    sheets += [_fallback(result), verdicts(result.budget)]
    return [*(sheet for sheet in sheets if sheet.rows or sheet.notes), _conditions(result)]


def verdicts(found: tuple[Verdict, ...]) -> Sheet:
    """Show what became of promises, and the statistics behind it."""
    order = ("fail", "not checked", "pass")
    rows = sorted(
        ((item.verdict, item.variant, item.promise, item.limit, item.reason) for item in found),
        key=lambda row: order.index(row[0]),
    )
    return Sheet(("promise", "variant", "of", "limit", "why"), tuple(rows))


def comparison_sheets(found: Comparison) -> list[Sheet]:
    """Return what changed between two results, and what can be said of it."""
    rows = tuple(_change(change) for change in found.changes)
    notes = [
        "hot p50 is compared after each run was divided by its own session that does nothing; "
        "quantities without an interval are shown, not judged, unless they are sizes."
    ]
    if found.apart:
        notes.append(f"Times were not judged: {found.apart}.")
    if found.missing:
        notes.append(f"Only in one of the two: {', '.join(found.missing)}.")
    columns = ("variant", "quantity", f"{found.old}>", f"{found.new}>", "new / old>", "95 %>")
    return [verdicts(found.verdicts), Sheet(columns, rows, tuple(notes))]


def _change(change: Change) -> tuple[str, ...]:
    ends = (change.low, change.high)
    return (
        change.variant,
        f"{change.quantity}, {change.unit}",
        maybe(change.old),
        maybe(change.new),
        "" if change.ratio is None else f"{change.ratio:.3f}",
        "" if None in ends else f"{change.low:.3f} to {change.high:.3f}",
    )


def _latency(result: BenchResult) -> Sheet:
    rows = [
        (
            variant.name,
            *map(short, _percentiles(variant)),
            f"{variant.warmup.steps}" + ("" if variant.warmup.settled else ", never steady"),
            f"{variant.hot.p50_us / result.harness.floor.p50_us:.2f}",
        )
        for variant in result.variants
    ]
    columns = (
        "hot step, µs", "p50>", "p90>", "p95>", "p99>", "p99.9>", "max>", "warm after steps>",
        "times the floor>",
    )  # fmt: skip
    return Sheet(columns, tuple(rows))


def _percentiles(variant: VariantResult) -> tuple[float, ...]:
    hot = variant.hot
    return hot.p50_us, hot.p90_us, hot.p95_us, hot.p99_us, hot.p999_us, hot.max_us


def _ratios(ratios: tuple[Ratio, ...]) -> Sheet:
    rows = [
        (
            ratio.candidate,
            ratio.reference,
            f"{ratio.ratio:.3f}",
            f"{ratio.low:.3f} to {ratio.high:.3f}",
            f"{ratio.sessions} sessions, {ratio.rounds} rounds",
        )
        for ratio in ratios
    ]
    return Sheet(("hot, in turns", "against", "times>", "95 %>", "behind it"), tuple(rows))


def _paced(result: BenchResult) -> Sheet:
    rows = []
    for variant in result.variants:
        if paced := variant.paced:
            figures = (
                paced.step.p50_us, paced.step.p99_us, paced.step.max_us, paced.late.p50_us,
                paced.jitter_p99_us,
            )  # fmt: skip
            rows.append(
                (
                    variant.name,
                    *map(short, figures),
                    f"{paced.missed:,} of {paced.frames:,}",
                    short(paced.cpu_seconds_per_hour),
                    maybe(paced.joules_per_hour),
                )
            )
    rate = f" at {result.pace_settings.rate_hz:g} Hz" if result.pace_settings else ""
    columns = (
        f"step{rate}, µs", "p50>", "p99>", "max>", "woken late>", "jitter p99>", "missed>",
        "CPU s/hour>", "J/hour>",
    )  # fmt: skip
    return Sheet(columns, tuple(rows))


def _idle(result: BenchResult) -> Sheet:
    known = [variant for variant in result.variants if variant.idle]
    if not known or known[0].idle is None:
        return Sheet((), ())
    gaps = [f"{gap.gap_ms:g} ms>" for gap in known[0].idle]
    rows = [(v.name, *(short(gap.p50_us) for gap in v.idle or ())) for v in known]
    return Sheet(("step after a pause of, µs", *gaps), tuple(rows))


def _chunks(result: BenchResult, deadline_ms: float | None) -> Sheet:
    rate = result.pace_settings.rate_hz if result.pace_settings else None
    rows = []
    for variant in result.variants:
        if not (fit := variant.chunks):
            continue
        advice = ""
        if rate:
            deadline = deadline_ms or DEADLINE_PERIODS * 1000 / rate
            best = fit.advise(rate, deadline)
            advice = (
                f"T = {best.frames}, {short(best.oldest_ms)} ms, {percent(best.busy)} busy"
                if best
                else "none is in time"
            ) + f" (deadline {short(deadline)} ms)"
        rows.append(
            (
                variant.name,
                f"{short(fit.overhead_us)} + {short(fit.frame_us)} T",
                f"{short(fit.overhead_low_us)} to {short(fit.overhead_high_us)}",
                f"{short(fit.frame_low_us)} to {short(fit.frame_high_us)}",
                percent(fit.misfit, 0),
                advice,
            )
        )
    columns = ("call of T frames", "µs>", "call 95 %>", "frame 95 %>", "misfit>", "advice")
    return Sheet(columns, tuple(rows))


def _fallback(result: BenchResult) -> Sheet:
    """Name the nodes that ran on the CPU though a GPU was asked for."""
    notes = [
        f"{variant.name}: {len(variant.placement.fallback)} compute nodes ran on the CPU: "
        f"{', '.join(variant.placement.fallback)}."
        for variant in result.variants
        if variant.placement.fallback
    ]
    return Sheet((), (), tuple(notes))


def _conditions(result: BenchResult) -> Sheet:
    return Sheet((), (), tuple(_said(result)))


def _said(result: BenchResult) -> Iterator[str]:
    """Yield what the figures above must be read with."""
    harness, found, machine = result.harness, result.conditions, result.machine
    paced = ""
    if harness.paced:
        paced = (
            f"; pacing takes {short(harness.paced.cpu_seconds_per_hour)} CPU s/hour and wakes "
            f"{micro(harness.paced.late.p50_us)} late"
        )
    yield (
        f"The harness: {micro(harness.hot.p50_us)} a step; a session that does nothing (the floor) "
        f"{micro(harness.floor.p50_us)}{paced}. Nothing is subtracted."
    )
    stolen = NOT_MEASURED if found.stolen is None else percent(found.stolen)
    facts = [
        f"load {maybe(found.load_before)} before and {maybe(found.load_after)} after",
        f"stolen by the hypervisor {stolen}",
        f"put off a core {maybe(found.preempted)} times",
        "not pinned" if found.pinned_to is None else f"pinned to core {found.pinned_to}",
        f"governor {machine.governor or NOT_MEASURED}",
        f"clock {found.clock_resolution_ns} ns fine, {found.clock_overhead_ns:g} ns a reading",
    ]
    yield f"Conditions: {'; '.join(facts)}."
    providers = ", ".join(sorted({variant.provider for variant in result.variants}))
    yield f"{result.status.capitalize()} with {providers} on {machine_line(machine)}."
    if result.not_measured:
        yield f"Not measured: {', '.join(result.not_measured)}."
