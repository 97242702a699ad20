"""The GPU: what it is, and how much of its memory a model takes, part by part."""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edgeseq.bench.fresh import Job, run_fresh
from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.nvml import Nvml, NvmlError

_MIB = 2.0**20
QUIET_MIB = 4.0
"""How far the device's memory may be from where it was when our process has ended; beyond, others \
moved it meanwhile, and a difference of the whole device is not ours."""

Method = Literal["process", "device"]
Reports = list[dict[str, Any]]


@dataclass(frozen=True)
class Gpu:
    """The GPU that CUDA uses."""

    name: str
    compute_capability: str
    """Generation of its cores: `9.0`."""
    memory_mib: int
    driver: str
    """Version of NVIDIA's driver."""


@dataclass(frozen=True)
class DeviceMemory:
    """Memory on the device, medians of fresh processes; its first four parts add up to the peak.

    The same parts of a session that does nothing are taken off `weights` and `arena`: like is
    compared with like.
    """

    context_mib: float
    """What a session that does nothing holds after its steps: CUDA's context, and handles."""
    weights_mib: float
    """What opening the model takes on top: weights, in blocks of the arena or beside it."""
    arena_mib: float
    """What its steps take on top: intermediate values, workspaces, kernels at their first use."""
    unexplained_mib: float
    """What was held at the peak beyond all that, and given back."""
    peak_mib: float
    """Most that was held at any look, one about every 2 ms."""
    streams: int
    """Streams in each step; the states of all of them are in `weights`."""
    steps: int
    """Steps of each process."""
    repeats: int
    """Fresh processes behind the medians, of the model and of the empty session each."""
    method: Method
    """`process`: the driver's figure for the process itself. `device`: where a container hides \
that, the whole device's memory against what it was before, while nobody else moved it."""


def gpu_facts(nvml: Callable[[], Nvml] = Nvml) -> tuple[Gpu | None, str]:
    """Return the GPU that CUDA uses, or none and the reason."""
    try:
        library = nvml()
        gpu = Gpu(
            name=library.name(),
            compute_capability=library.compute_capability(),
            memory_mib=round(library.memory()[0] / _MIB),
            driver=library.driver(),
        )
        library.close()
    except NvmlError as error:
        return None, str(error)
    return gpu, ""


def measure_device_memory(
    job: Job, *, streams: int = 1, repeats: int = 3, nvml: Callable[[], Nvml] = Nvml
) -> tuple[DeviceMemory | None, str]:
    """Measure what a model takes on the device in fresh processes; none and the reason if unknown.

    Args:
        job: the model, its frame and its steps.
        streams: streams in each step.
        repeats: fresh processes of the model, and of a session that does nothing.
        nvml: opens the management library.

    Raises:
        EdgeseqError: a process failed; with its last words.
    """
    try:
        library = nvml()
        model, empty = _reports(job, streams, library, repeats)
        library.close()
    except NvmlError as error:
        return None, str(error)
    return account(model, empty, streams=streams, steps=job.steps)


def account(
    model: Reports, empty: Reports, *, streams: int, steps: int
) -> tuple[DeviceMemory | None, str]:
    """Add up the readings of fresh processes; none and the reason where they cannot be ours."""
    method, reason = _method([*model, *empty])
    if method is None:
        return None, reason
    context = _held(empty, "after", method)
    opened, empty_opened = (_held(reports, "loaded", method) for reports in (model, empty))
    after, peak = _held(model, "after", method), _held(model, "peak", method)
    return DeviceMemory(
        context_mib=_mib(context),
        weights_mib=_mib(opened - empty_opened),
        arena_mib=_mib((after - opened) - (context - empty_opened)),
        unexplained_mib=_mib(peak - after),
        peak_mib=_mib(peak),
        streams=streams,
        steps=steps,
        repeats=len(model),
        method=method,
    ), ""


def _reports(job: Job, streams: int, library: Nvml, repeats: int) -> tuple[Reports, Reports]:
    """Run the model and a session that does nothing in turns, in fresh processes."""
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        nothing = Path(folder) / "identity.onnx"
        nothing.write_bytes(identity_onnx())
        idle = replace(job, source=nothing, variant=None, frame=(0.0,))
        both: tuple[Reports, Reports] = ([], [])
        for _ in range(repeats):
            for asked, reports in zip((job, idle), both, strict=True):
                before = library.memory()[1]
                report = run_fresh("edgeseq.bench.gpu_probe", asked, streams=streams)
                reports.append({**report, "outside": before, "left": library.memory()[1]})
    return both


def _method(reports: Reports) -> tuple[Method | None, str]:
    """Choose what all readings can be taken from: the process itself, else the quiet device."""
    moments = ("loaded", "after", "peak")
    if all(report[moment]["process"] is not None for report in reports for moment in moments):
        return "process", ""
    moved = max(abs(report["left"] - report["outside"]) for report in reports) / _MIB
    if moved > QUIET_MIB:
        return None, (
            "the driver does not tell what single processes hold (a container hides their ids), "
            f"and other processes moved the device's memory by {moved:.0f} MiB meanwhile"
        )
    return "device", ""


def _held(reports: Reports, moment: str, method: Method) -> float:
    """Return the median of what the processes held at a moment, in bytes."""
    if method == "process":
        return float(statistics.median(report[moment]["process"] for report in reports))
    return float(
        statistics.median(
            report[moment]["device"] - report["before"]["device"] for report in reports
        )
    )


def _mib(size: float) -> float:
    return round(size / _MIB, 3)
