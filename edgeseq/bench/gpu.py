"""The GPU: what it is, and how much of its memory a model takes, part by part."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.nvml import Nvml, NvmlError
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError

_MIB = 2.0**20
TIMEOUT_S = 300
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
    source: Path | str,
    frame: tuple[float, ...],
    settings: SessionSettings,
    *,
    variant: str | None = None,
    streams: int = 1,
    steps: int = 200,
    repeats: int = 3,
    provider: str = "cuda",
    nvml: Callable[[], Nvml] = Nvml,
) -> tuple[DeviceMemory | None, str]:
    """Measure what a model takes on the device in fresh processes; none and the reason if unknown.

    Args:
        source: a bundle, or an ONNX file with its contract.
        frame: the frame `(F,)` that every stream is fed at every step.
        settings: session settings.
        variant: the bundle's variant.
        streams: streams in each step.
        steps: steps of each process.
        repeats: fresh processes of the model, and of a session that does nothing.
        provider: what the processes run on.
        nvml: opens the management library.

    Raises:
        EdgeseqError: a process failed; with its last words.
    """
    request = {
        "provider": provider, "session": asdict(settings), "streams": streams, "steps": steps,
    }  # fmt: skip
    try:
        library = nvml()
        model, empty = _reports(
            {**request, "source": str(source), "variant": variant, "frame": frame}, library, repeats
        )
        library.close()
    except NvmlError as error:
        return None, str(error)
    return account(model, empty, streams=streams, steps=steps)


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


def _reports(request: dict[str, Any], library: Nvml, repeats: int) -> tuple[Reports, Reports]:
    """Run the model and a session that does nothing in turns, in fresh processes."""
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        nothing = Path(folder) / "identity.onnx"
        nothing.write_bytes(identity_onnx())
        idle = {**request, "source": str(nothing), "variant": None, "frame": (0.0,)}
        both: tuple[Reports, Reports] = ([], [])
        for _ in range(repeats):
            for asked, reports in zip((request, idle), both, strict=True):
                before = library.memory()[1]
                reports.append({**_probe(asked), "outside": before, "left": library.memory()[1]})
    return both


def _probe(request: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "edgeseq.bench.gpu_probe", json.dumps(request)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=True
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise EdgeseqError(
            f"a fresh process could not run {request['source']} on {request['provider']}: "
            f"{words[0]}. Try the model alone with: edgeseq check --provider {request['provider']}"
        ) from None
    except subprocess.TimeoutExpired:
        raise EdgeseqError(
            f"a fresh process with {request['source']} did not end in {TIMEOUT_S} s; "
            "try fewer steps"
        ) from None
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


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
