"""What a fresh process pays to load and run one model; the program that `memory` starts.

`python -m edgeseq.bench.probe REQUEST` takes a JSON request and writes one JSON line. Nothing
heavy may be imported at the top: importing is one of the things that are timed.
"""

import ctypes
import gc
import json
import os
import re
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PROCESS = {
    "Rss": "rss", "Pss": "pss", "Private_Clean": "uss", "Private_Dirty": "uss",
    "Anonymous": "anonymous",
}  # fmt: skip
GROWTH_SAMPLES = 64
"""Readings of resident memory, spread evenly over the steps that look for growth."""


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Load the source of `request`, run its steps, and return times (ns) and memory (bytes).

    What is read after all steps comes before anything else that allocates.
    """
    report, session, frame = _start(request)
    heap_opened = report.pop("heap_opened")
    report |= _steps(session, frame, request["steps"])
    report["heap_steps"] = _minus(report.pop("heap_after"), heap_opened)
    step_ns = report["warm_ns"] or 1e9
    report["growth"] = grow(lambda: session.step(frame), step_ns, request["growth_seconds"])
    return report | _again(request, session.model, frame)


def _start(request: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """Go from nothing to the first output; return the report, the session and the frame.

    What reading memory takes in between is in none of the times.
    """
    begin = time.monotonic_ns()
    import numpy as np

    from edgeseq.runtime import StreamSession

    times = {
        "started_ns": begin - request["spawned_ns"],
        "import_ns": time.monotonic_ns() - begin,
    }
    report: dict[str, Any] = {"interpreter": memory()}
    begin = time.monotonic_ns()
    _import_runtime()
    times["import_ns"] += time.monotonic_ns() - begin
    report["imported"], heap_before = memory(), heap()
    begin = time.monotonic_ns()
    model = load(request)
    times["load_ns"] = time.monotonic_ns() - begin
    heap_opened = heap()
    begin = time.monotonic_ns()
    session = StreamSession(model)
    times["load_ns"] += time.monotonic_ns() - begin
    report["heap_opened"] = heap_opened
    report["heap_weights"] = _minus(heap_opened, heap_before)
    report["heap_model"] = _minus(heap(), heap_before)
    frame = np.asarray(request["frame"], np.float32)
    begin = time.monotonic_ns()
    session.step(frame)
    times["first_ns"] = time.monotonic_ns() - begin
    report["first"] = memory()
    return {**report, **times, "cold_ns": sum(times.values())}, session, frame


def load(request: dict[str, Any]) -> Any:  # noqa: ANN401 - a StreamModel, imported only here
    """Load the source of `request`."""
    from edgeseq.runtime import SessionSettings, StreamModel

    return StreamModel.load(
        Path(request["source"]),
        variant=request["variant"],
        provider=request["provider"],
        settings=SessionSettings(**request["session"]),
    )


def _steps(session: Any, frame: Any, count: int) -> dict[str, Any]:  # noqa: ANN401
    """Run the steps and read what the process consists of after them."""
    import numpy as np

    times = np.empty(count, np.int64)
    for index in range(count):
        begin = time.perf_counter_ns()
        session.step(frame)
        times[index] = time.perf_counter_ns() - begin
    readings = {"after": memory(), "heap_after": heap(), "heap_kept": heap_kept()}
    readings |= {"files": mapped_files(), "python": python_pools()}
    return {**readings, "warm_ns": float(np.median(times)) if count else None}


def _again(request: dict[str, Any], model: Any, frame: Any) -> dict[str, Any]:  # noqa: ANN401
    """Open one more session, which takes state, frames and bindings but no arena; and reload."""
    from edgeseq.runtime import StreamSession

    gc.collect()
    before = heap()
    session = StreamSession(model)
    session.step(frame)
    gc.collect()
    taken = _minus(heap(), before)
    session.close()
    begin = time.monotonic_ns()
    StreamSession(load(request))
    return {"heap_session": taken, "reload_ns": time.monotonic_ns() - begin}


def _import_runtime() -> None:
    """Import ONNX Runtime now, so that its import is not counted as loading the model."""
    from edgeseq.extras import require

    require("onnxruntime")


def grow(step: Callable[[], object], step_ns: float, seconds: float) -> dict[str, list[int]]:
    """Return resident bytes against steps, at even distances; empty where they cannot be read.

    Resident and not private memory: pages of libraries change between private and shared with
    what other processes do. The first tenth does not count: lazily grown buffers settle there,
    and what the readings themselves need.
    """
    block = int(seconds * 1e9 / max(step_ns, 1.0) / GROWTH_SAMPLES)
    if "rss" not in memory() or not block:
        return {"steps": [], "bytes": []}
    sizes = array("q", [1]) * GROWTH_SAMPLES  # written now, so that no reading grows anything
    for sample in range(GROWTH_SAMPLES):
        for _ in range(block):
            step()
        sizes[sample] = memory()["rss"]
    settled = GROWTH_SAMPLES // 10
    steps = [block * (sample + 1) for sample in range(GROWTH_SAMPLES)]
    return {"steps": steps[settled:], "bytes": sizes.tolist()[settled:]}


def memory() -> dict[str, int]:
    """Return this process's memory in bytes: `rss`, `pss`, `uss`, `anonymous`, `peak`.

    What the system does not tell is left out.
    """
    sizes: dict[str, int] = {}
    for line in _lines("/proc/self/smaps_rollup"):
        name = PROCESS.get(line.partition(":")[0])
        if name:
            sizes[name] = sizes.get(name, 0) + int(line.split()[1]) * 1024
    # VmHWM and not getrusage: ru_maxrss of a child starts at what its parent had at the fork.
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM:"):
            sizes["peak"] = int(line.split()[1]) * 1024
        elif line.startswith("VmRSS:"):  # counted in batches; smaps_rollup looks at every page
            sizes.setdefault("rss", int(line.split()[1]) * 1024)
    return sizes


def mapped_files() -> int | None:
    """Return the resident bytes of files as they are on disk: code and constants of libraries.

    Not what was written to such pages since, and not shared memory, which has no file.
    """
    size, of_file, seen = 0, False, False
    for line in _lines("/proc/self/smaps"):
        words = line.split()
        if not words[0].endswith(":"):  # a mapping: address, rights, offset, device, inode, path
            of_file = len(words) > 5 and words[4] != "0" and words[-1] != "(deleted)"
            seen = True
        elif of_file and words[0] in ("Rss:", "Anonymous:"):
            size += int(words[1]) * 1024 * (1 if words[0] == "Rss:" else -1)
    return size if seen else None


def heap() -> int | None:
    """Return the bytes that are allocated with malloc, or none where glibc cannot tell."""
    info = _mallinfo()
    return int(info.uordblks + info.hblkhd) if info else None


def heap_kept() -> int | None:
    """Return the bytes that were freed and that malloc keeps, or none where glibc cannot tell."""
    info = _mallinfo()
    return int(info.fordblks) if info else None


def python_pools() -> int:
    """Return the bytes of Python's own allocator for small objects, which malloc knows not of.

    0 where Python does not say. It says so on standard error only, as text.
    """
    said = ""
    with suppress(AttributeError, OSError), tempfile.TemporaryFile("w+") as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(before, 2)
            os.close(before)
        file.seek(0)
        said = file.read()
    arenas = re.search(r"arenas \* \d+ bytes/arena *= *([\d,]+)", said)
    unused = re.search(r"unused pools \* \d+ bytes *= *([\d,]+)", said)
    if not arenas or not unused:
        return 0
    total, free = (int(found[1].replace(",", "")) for found in (arenas, unused))
    return total - free


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _mallinfo() -> _MallInfo | None:
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = _MallInfo
    info: _MallInfo = mallinfo2()
    return info


def _minus(value: int | None, before: int | None) -> int | None:
    return None if value is None or before is None else value - before


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
