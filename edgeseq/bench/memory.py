"""Cold start and memory of a model, each measured in fresh processes."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeseq.bench.identity import identity_onnx
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError

_MIB, _KIB, _MS = 2.0**20, 2.0**10, 1e6
TIMEOUT_S = 120


@dataclass(frozen=True)
class Job:
    """One model as a fresh process runs it."""

    source: Path
    """Bundle directory or `.onnx` file."""
    variant: str | None
    provider: str
    session: SessionSettings
    frame: tuple[float, ...]
    """The frame `(F,)` that is fed at every step."""
    steps: int = 1000
    """Steps after the first one."""


@dataclass(frozen=True)
class ColdStart:
    """From nothing to the first output, medians over fresh processes, in milliseconds."""

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
    request = {
        "source": str(job.source),
        "variant": job.variant,
        "provider": job.provider,
        "session": asdict(job.session),
        "frame": job.frame,
        "steps": job.steps,
        "spawned_ns": time.monotonic_ns(),  # one clock for all processes of a machine
    }
    command = [sys.executable, "-P", "-m", "edgeseq.bench.probe", json.dumps(request)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=True
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise EdgeseqError(
            f"a fresh process could not run {job.source}: {words[0]}. "
            "Try the model alone with: edgeseq check"
        ) from None
    except subprocess.TimeoutExpired:
        raise EdgeseqError(
            f"a fresh process with {job.source} did not end in {TIMEOUT_S} s; try fewer steps"
        ) from None
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@contextmanager
def _empty_jobs(jobs: dict[str, Job]) -> Iterator[dict[tuple[str, str], Job]]:
    """Yield one do-nothing job for every provider and session settings that occur."""
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        source = Path(folder) / "identity.onnx"
        source.write_bytes(identity_onnx())
        yield {
            ("empty", _session_key(job)): Job(
                source, None, job.provider, job.session, (0.0,), job.steps
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
    )


def _memory(job: Job, model: Sequence[dict[str, Any]], empty: Sequence[dict[str, Any]]) -> Memory:
    peak, empty_peak = _median(model, "after", "peak"), _median(empty, "after", "peak")
    uss, rss = _median(model, "after", "uss"), _median(model, "after", "rss")
    heap = _difference(_median(model, "heap_model"), _median(empty, "heap_model"))
    growth = _difference(rss, _median(model, "first", "rss"))
    return Memory(
        peak_rss_mib=_scaled(peak, _MIB),
        rss_mib=_scaled(rss, _MIB),
        pss_mib=_scaled(_median(model, "after", "pss"), _MIB),
        uss_mib=_scaled(uss, _MIB),
        runtime_peak_rss_mib=_scaled(empty_peak, _MIB),
        attributable_rss_mib=_scaled(_difference(peak, empty_peak), _MIB),
        attributable_uss_mib=_scaled(_difference(uss, _median(empty, "after", "uss")), _MIB),
        model_heap_kib=_scaled(heap, _KIB),
        growth_kib=_scaled(growth, _KIB),
        steps=job.steps,
        repeats=len(model),
    )


def _median(reports: Sequence[dict[str, Any]], *keys: str) -> float | None:
    values: list[float] = []
    for report in reports:
        value: Any = report
        for key in keys:
            value = value.get(key)
        if value is None:
            return None
        values.append(value)
    return statistics.median(values)


def _difference(value: float | None, minus: float | None) -> float | None:
    return None if value is None or minus is None else value - minus


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 3)
