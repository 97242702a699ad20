"""Tables of what a model occupies: cold start, memory part by part, many streams, a GPU."""

from edgeseq.bench.memory import Memory
from edgeseq.bench.on_gpu import OnGpu
from edgeseq.bench.placement import Placement
from edgeseq.bench.results import BenchResult
from edgeseq.report.numbers import NOT_MEASURED, maybe, percent, short
from edgeseq.report.sheet import Sheet


def cold(result: BenchResult) -> Sheet:
    """Break a cold start down, and show the same when warm."""
    rows = [
        (
            variant.name,
            *map(short, (cold.total_ms, cold.interpreter_ms, cold.import_ms, cold.load_ms)),
            short(cold.first_step_ms),
            maybe(cold.reload_ms),
            maybe(cold.warm_step_us),
        )
        for variant in result.variants
        if (cold := variant.cold)
    ]
    columns = (
        "cold start, ms", "all>", "process>", "imports>", "load>", "first step>", "load again>",
        "warm step µs>",
    )  # fmt: skip
    return Sheet(columns, tuple(rows))


def memory(result: BenchResult) -> Sheet:
    """Show the memory of a fresh process, and whether it grows."""
    rows = [
        (
            variant.name,
            short(variant.file_kib),
            *map(maybe, (found.peak_rss_mib, found.pss_mib, found.uss_mib)),
            maybe(found.attributable_rss_mib),
            _growth(found),
        )
        for variant in result.variants
        if (found := variant.memory)
    ]
    columns = (
        "fresh process, MiB", "file KiB>", "peak>", "PSS>", "USS>", "peak the model adds>",
        "growth, KiB a million steps>",
    )  # fmt: skip
    return Sheet(columns, tuple(rows))


def _growth(memory: Memory) -> str:
    if not (slope := memory.growth):
        return NOT_MEASURED
    return f"{slope.per_unit:.0f} [{slope.low:.0f}, {slope.high:.0f}]"


PARTS = {
    "total_mib": "total",
    "interpreter_mib": "Python",
    "runtime_mib": "runtime",
    "code_mib": "code",
    "weights_mib": "weights",
    "arena_mib": "arena",
    "state_mib": "state",
    "freed_mib": "freed",
    "python_mib": "objects",
    "unexplained_mib": "unexplained",
}
"""Parts of a process's memory, by the fields of `Breakdown`."""


def parts(result: BenchResult) -> Sheet:
    """Break memory down, each part by an instrument of its own."""
    rows = []
    for variant in result.variants:
        if variant.memory and (found := variant.memory.breakdown):
            values = [getattr(found, field) for field in PARTS]
            share = f"{percent(found.unexplained_share)} of all"
            rows.append((variant.name, *(_signed(value) for value in values), share))
    columns = ("resident, MiB", *(f"{name}>" for name in PARTS.values()), "that is>")
    return Sheet(columns, tuple(rows))


def _signed(value: float) -> str:
    """Return MiB to a KiB or so; a part that is a difference may be below zero."""
    return f"{value:.3f}" if abs(value) < 1 else short(value)


def many(result: BenchResult) -> Sheet:
    """Show what one more stream costs where there are many."""
    rows = [
        (
            variant.name,
            f"{many.streams:,}",
            short(many.state_kib),
            maybe(many.session_kib),
            maybe(many.session_overhead_kib),
            maybe(many.row_kib),
            maybe(many.row_overhead_kib),
        )
        for variant in result.variants
        if (many := variant.many)
    ]
    columns = (
        "one of many streams, KiB", "streams>", "state>", "as a session>", "beyond its state>",
        "as a row>", "beyond its state>",
    )  # fmt: skip
    return Sheet(columns, tuple(rows))


def streams(result: BenchResult) -> Sheet:
    """Show many streams in one call: how many a machine serves in time."""
    if not (found := result.throughput):
        return Sheet((), ())
    rows = [
        (
            f"{row.name} on {row.provider}",
            f"{row.streams:,}",
            short(row.p50_us),
            short(row.p99_us),
            short(row.streams_per_second),
            "yes" if row.in_time else "no",
        )
        for row in found.rows
    ]
    notes = [
        f"{item.name} on {item.provider}: {item.streams_in_time:,} streams in time (99 of 100 "
        f"steps within {short(item.limit_ms)} ms), {short(item.streams_per_second)} a second."
        for item in found.served
    ]
    notes += [f"{name}: {NOT_MEASURED}, {why}." for name, why in found.not_measured.items()]
    columns = ("many streams", "N>", "step p50 µs>", "p99 µs>", "streams a second>", "in time")
    return Sheet(columns, tuple(rows), tuple(notes))


def gpu(result: BenchResult) -> Sheet:
    """Show memory on the GPU part by part, what copies cost, and where nodes ran."""
    rows, notes = [], []
    for variant in result.variants:
        if found := variant.on_gpu:
            rows += _on_gpu(variant.name, found)
            notes.append(f"{variant.name}: {_placed(variant.placement)}.")
            if found.memory_not_measured:
                notes.append(f"{variant.name}, GPU memory: {found.memory_not_measured}.")
    if gpu := result.gpu:
        notes.append(
            f"GPU: {gpu.name}, compute capability {gpu.compute_capability}, "
            f"{gpu.memory_mib:,} MiB, driver {gpu.driver}."
        )
    columns = (
        "on the GPU, MiB", "streams>", "context>", "weights>", "arena>", "unexplained>", "peak>",
        "host copies µs a step>",
    )  # fmt: skip
    return Sheet(columns, tuple(rows), tuple(notes))


_ON_GPU = ("context_mib", "weights_mib", "arena_mib", "unexplained_mib", "peak_mib")


def _on_gpu(name: str, found: OnGpu) -> list[tuple[str, ...]]:
    memory = {item.streams: item for item in found.memory}
    return [
        (
            name,
            f"{cost.streams:,}",
            *(maybe(getattr(memory.get(cost.streams), part, None)) for part in _ON_GPU),
            short(cost.copies_us),
        )
        for cost in found.copies
    ]


def _placed(placement: Placement) -> str:
    """Say how many nodes ran where, and how many copies that takes."""
    where = ", ".join(
        f"{sum(operators.values())} nodes on {provider.removesuffix('ExecutionProvider')}"
        for provider, operators in placement.nodes.items()
    )
    return (
        f"{where}; {placement.host_to_device:g} copies to the device and "
        f"{placement.device_to_host:g} back within a call"
    )
