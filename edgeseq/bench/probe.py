"""What a fresh process pays to load and run one model; the program that `memory` starts.

`python -m edgeseq.bench.probe REQUEST` takes a JSON request and writes one JSON line. Nothing
heavy may be imported at the top: importing is one of the things that are timed.
"""

import ctypes
import json
import sys
import time
from pathlib import Path
from typing import Any

PROCESS = {"Rss": "rss", "Pss": "pss", "Private_Clean": "uss", "Private_Dirty": "uss"}


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Load the source of `request`, run its steps, and return times (ns) and memory (bytes)."""
    begin = time.monotonic_ns()
    import numpy as np

    from edgeseq.runtime import SessionSettings, StreamSession

    _import_runtime()
    imported = time.monotonic_ns()
    before, heap_before = memory(), heap()
    loading = time.monotonic_ns()
    session = StreamSession(
        Path(request["source"]),
        variant=request["variant"],
        provider=request["provider"],
        settings=SessionSettings(**request["session"]),
    )
    loaded = time.monotonic_ns()
    heap_loaded = heap()
    frame = np.asarray(request["frame"], np.float32)
    calling = time.monotonic_ns()
    session.step(frame)
    answered = time.monotonic_ns()
    first = memory()
    for _ in range(request["steps"]):
        session.step(frame)
    return {
        "started_ns": begin - request["spawned_ns"],
        "import_ns": imported - begin,
        "load_ns": loaded - loading,
        "first_ns": answered - calling,
        "cold_ns": answered - request["spawned_ns"],
        "heap_model": heap_loaded - heap_before if heap_loaded and heap_before else None,
        "imported": before,
        "first": first,
        "after": memory(),
    }


def _import_runtime() -> None:
    """Import ONNX Runtime now, so that its import is not counted as loading the model."""
    from edgeseq.extras import require

    require("onnxruntime")


def memory() -> dict[str, int]:
    """Return this process's memory in bytes: `rss`, `pss`, `uss`, `peak`; what the system tells."""
    sizes: dict[str, int] = {}
    for line in _lines("/proc/self/smaps_rollup"):
        name = PROCESS.get(line.partition(":")[0])
        if name:
            sizes[name] = sizes.get(name, 0) + int(line.split()[1]) * 1024
    # VmHWM and not getrusage: ru_maxrss of a child starts at what its parent had at the fork.
    for line in _lines("/proc/self/status"):
        if line.startswith(("VmHWM:", "VmRSS:")):
            sizes["peak" if line.startswith("VmHWM") else "rss"] = int(line.split()[1]) * 1024
    return sizes


def heap() -> int | None:
    """Return the bytes that are allocated with malloc, or none where glibc cannot tell."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = _MallInfo
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
