"""What machine this is: every number of a benchmark is void without it."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from edgeseq.extras import available, require

# The flags that decide which kernels ONNX Runtime picks, x86-64 first, then AArch64.
FLAGS_THAT_MATTER = (
    "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16",
    "amx_int8", "amx_bf16", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class Machine:
    """The machine and the software a benchmark ran on."""

    cpu: str
    """Model name, as the operating system gives it."""
    architecture: str
    """Instruction set: `x86_64`, `aarch64`."""
    flags: tuple[str, ...]
    """CPU flags that matter here; empty where the system does not tell."""
    cores: int
    """Logical cores that this process may use."""
    memory_mib: int | None
    """Physical memory, or none where the system does not tell."""
    board: str
    """Board name from the device tree, or empty."""
    system: str
    """Operating system and its version."""
    governor: str | None
    """CPU frequency governor, or none where the system does not tell."""
    load_1m: float | None
    """Load average over one minute when this was read."""
    virtualised: bool | None
    """Whether a hypervisor is below, or none where the system does not tell."""
    python: str
    numpy: str
    onnxruntime: str | None
    """Package and version, or none where it is not installed."""
    onnxruntime_build: str | None
    """ONNX Runtime's own description of its build."""
    providers: tuple[str, ...]
    """Execution providers that this ONNX Runtime has."""


def this_machine() -> Machine:
    """Read what machine this is; what the system does not tell is none or empty."""
    cpuinfo = _cpuinfo()
    architecture = platform.machine().lower()
    architecture = _ARCHITECTURES.get(architecture, architecture)
    all_flags = set(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())
    runtime = _onnxruntime()
    return Machine(
        cpu=cpuinfo.get("model name") or platform.processor() or architecture,
        architecture=architecture,
        flags=tuple(flag for flag in FLAGS_THAT_MATTER if flag in all_flags),
        cores=_cores(),
        memory_mib=_memory_mib(),
        board=(_read("/proc/device-tree/model") or "").rstrip("\0\n"),
        system=platform.platform(terse=True),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load_1m=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        virtualised="hypervisor" in all_flags if architecture == "x86_64" and all_flags else None,
        python=platform.python_version(),
        numpy=np.__version__,
        onnxruntime=runtime[0],
        onnxruntime_build=runtime[1],
        providers=runtime[2],
    )


def _onnxruntime() -> tuple[str | None, str | None, tuple[str, ...]]:
    if not available("onnxruntime"):
        return None, None, ()
    module = require("onnxruntime")
    # Both packages own the same import folder, so the version alone does not say which it is.
    installed = [name for name in ("onnxruntime-gpu", "onnxruntime") if _is_installed(name)]
    package = " + ".join(installed) or "onnxruntime"
    providers = tuple(str(name) for name in module.get_available_providers())
    return f"{package} {module.__version__}", str(module.get_build_info()), providers


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _cpuinfo() -> dict[str, str]:
    """Return the first core's entries of `/proc/cpuinfo`; empty where there is none."""
    first = (_read("/proc/cpuinfo") or "").partition("\n\n")[0]
    lines = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_mib() -> int | None:
    for line in (_read("/proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
