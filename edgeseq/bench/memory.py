"""Cold start and memory of a model, each measured in fresh processes."""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeseq.bench.breakdown import Breakdown, break_down
from edgeseq.bench.fresh import Job, run_fresh
from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.slopes import Slope, theil_sen

__all__ = ["ColdStart", "Job", "Memory", "measure_fresh", "probe"]

_MIB, _KIB, _MS = 2.0**20, 2.0**10, 1e6
PREFIX = "edgeseq-empty-"
"""Of the folder with the session that does nothing."""

PAGE = 4096
"""The smallest change of resident memory, in bytes."""


@dataclass(frozen=True)
class ColdStart:
    """From nothing to the first output, medians over fresh processes, and the same when warm."""

    interpreter_ms: float
    """Process start to the first line of Python."""
    import_ms: float
    """NumPy, ONNX Runtime and edgeseq's runtime."""
    load_ms: float
    """Opening the model."""
    first_step_ms: float
    """The first step."""
    total_ms: float
    """Process start to the first output."""
    repeats: int
    """Fresh processes behind the medians."""
    reload_ms: float | None = None
    """Opening the same model again in the same process, against `load_ms`."""
    warm_step_us: float | None = None
    """Median step after the first, all the same frame, against `first_step_ms`."""


@dataclass(frozen=True)
class Memory:
    """Memory of a fresh process, medians; none where the system does not tell."""

    peak_rss_mib: float | None
    """Most that was resident at any time: interpreter, libraries, model."""
    rss_mib: float | None
    """Resident after all steps."""
    pss_mib: float | None
    """The same, with shared pages divided among those who share them."""
    uss_mib: float | None
    """The same, with shared pages left out: what ending the process would free."""
    runtime_peak_rss_mib: float | None
    """Peak of a process with the same imports and a session that does nothing."""
    attributable_rss_mib: float | None
    """Peak minus that peak: what this model costs on top of the runtime."""
    attributable_uss_mib: float | None
    """The same difference in USS, after all steps."""
    model_heap_kib: float | None
    """Heap that opening the model takes (mallinfo2), on top of the session that does nothing."""
    growth_kib: float | None
    """Resident memory after all steps minus after the first."""
    steps: int
    """Steps after the first."""
    repeats: int
    """Fresh processes behind the medians, of the model and of the empty session each."""
    breakdown: Breakdown | None = None
    """What the resident memory consists of after all steps."""
    growth: Slope | None = None
    """KiB of resident memory per million further steps, in the process with the median slope."""
    growth_steps: int | None = None
    """Further steps in that process."""


def measure_fresh(
    jobs: dict[str, Job], *, repeats: int = 5, progress: Callable[[int, int], object] | None = None
) -> dict[str, tuple[ColdStart, Memory]]:
    """Run every job, and a session that does nothing, in `repeats` fresh processes each.

    Rounds alternate over all jobs. A process that fails is an `EdgeseqError` with its last words.
    """
    with _empty_jobs(jobs) as empty:
        everything = {**{("model", name): job for name, job in jobs.items()}, **empty}
        reports: dict[tuple[str, str], list[dict[str, Any]]] = {key: [] for key in everything}
        for done in range(repeats):
            for key, job in everything.items():
                reports[key].append(probe(job))
            if progress:
                progress(done + 1, repeats)
    return {
        name: (_cold(reports["model", name]), _memory(job, reports["model", name], baseline))
        for name, job in jobs.items()
        for baseline in (reports["empty", _session_key(job)],)
    }


def probe(job: Job) -> dict[str, Any]:
    """Run `job` once in a fresh process and return its report (times in ns, memory in bytes)."""
    return run_fresh("edgeseq.bench.probe", job)


@contextmanager
def _empty_jobs(jobs: dict[str, Job]) -> Iterator[dict[tuple[str, str], Job]]:
    """Yield one do-nothing job for every provider and session settings that occur."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        source = Path(folder) / "identity.onnx"
        source.write_bytes(identity_onnx())
        yield {
            ("empty", _session_key(job)): Job(
                source, None, job.provider, job.session, (0.0,), job.steps, growth_seconds=0
            )
            for job in jobs.values()
        }


def _session_key(job: Job) -> str:
    return f"{job.provider} {job.session} {job.steps}"


def _cold(reports: Sequence[dict[str, Any]]) -> ColdStart:
    def median(key: str) -> float:
        return round(float(statistics.median(report[key] for report in reports)) / _MS, 3)

    return ColdStart(
        interpreter_ms=median("started_ns"),
        import_ms=median("import_ns"),
        load_ms=median("load_ns"),
        first_step_ms=median("first_ns"),
        total_ms=median("cold_ns"),
        repeats=len(reports),
        reload_ms=_scaled(_median(reports, "reload_ns"), _MS),
        warm_step_us=_scaled(_median(reports, "warm_ns"), 1e3),
    )


def _memory(job: Job, model: Sequence[dict[str, Any]], empty: Sequence[dict[str, Any]]) -> Memory:
    peak, empty_peak = _median(model, "after", "peak"), _median(empty, "after", "peak")
    uss, rss = _median(model, "after", "uss"), _median(model, "after", "rss")
    heap = _difference(_median(model, "heap_model"), _median(empty, "heap_model"))
    more = _difference(rss, _median(model, "first", "rss"))
    growth, steps = _growth(model)
    return Memory(
        peak_rss_mib=_scaled(peak, _MIB),
        rss_mib=_scaled(rss, _MIB),
        pss_mib=_scaled(_median(model, "after", "pss"), _MIB),
        uss_mib=_scaled(uss, _MIB),
        runtime_peak_rss_mib=_scaled(empty_peak, _MIB),
        attributable_rss_mib=_scaled(_difference(peak, empty_peak), _MIB),
        attributable_uss_mib=_scaled(_difference(uss, _median(empty, "after", "uss")), _MIB),
        model_heap_kib=_scaled(heap, _KIB),
        growth_kib=_scaled(more, _KIB),
        steps=job.steps,
        repeats=len(model),
        breakdown=break_down(model, empty),
        growth=growth,
        growth_steps=steps,
    )


def _growth(reports: Sequence[dict[str, Any]]) -> tuple[Slope | None, int | None]:
    """Return the median slope and the steps behind it.

    The interval is never narrower than a page over those steps: less cannot be seen.
    """
    found = []
    for report in reports:
        steps, sizes = report["growth"]["steps"], report["growth"]["bytes"]
        if len(steps) >= 8:
            million = [step / 1e6 for step in steps]
            slope = theil_sen(million, [size / _KIB for size in sizes])
            page = PAGE / _KIB / (million[-1] - million[0])
            low, high = slope.per_unit - page, slope.per_unit + page
            slope = replace(slope, low=min(slope.low, low), high=max(slope.high, high))
            found.append((slope, steps[-1]))
    if not found:
        return None, None
    found.sort(key=lambda pair: pair[0].per_unit)
    slope, last = found[(len(found) - 1) // 2]
    rounded = {key: round(getattr(slope, key), 1) for key in ("per_unit", "low", "high")}
    return replace(slope, **rounded), last


def _median(reports: Sequence[dict[str, Any]], *keys: str) -> float | None:
    values: list[float] = []
    for report in reports:
        value: Any = report
        for key in keys:
            value = value.get(key) if value else None
        if value is None:
            return None
        values.append(value)
    return statistics.median(values)


def _difference(value: float | None, minus: float | None) -> float | None:
    return None if value is None or minus is None else value - minus


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 3)
