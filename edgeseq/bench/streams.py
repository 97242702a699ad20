"""What one more stream costs where a process runs many; both the measure and its program.

`python -m edgeseq.bench.streams REQUEST` takes a JSON request and writes one JSON line.
"""

import ctypes
import gc
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseq.bench.fresh import Job, run_fresh
from edgeseq.bench.probe import heap, memory
from edgeseq.errors import EdgeseqError

_KIB = 2.0**10
STEPS = 3
"""Steps of every session before memory is read: whatever grows at first has grown."""


@dataclass(frozen=True)
class ManyStreams:
    """Memory of one stream among many, in KiB, beside the state that it must hold.

    Every stream can be a session of its own on one loaded model, or a row of one session. What
    either costs is the larger of two instruments, after all were stepped: heap in use
    (`mallinfo2`), which does not see Python's small objects, and resident memory that belongs to
    no file, which does not see how full its pages are. The latter is USS less files' pages, which
    other processes share and unshare meanwhile.
    """

    streams: int
    """How many there were; costs are the total over this."""
    state_kib: float
    """Bytes of one stream's state, by its shapes."""
    session_kib: float | None
    """What one more `StreamSession` on a shared `StreamModel` takes, its state included."""
    session_overhead_kib: float | None
    """The same without the state."""
    session_heap_kib: float | None
    session_resident_kib: float | None
    row_kib: float | None
    """What one more row of a session takes, its state included; none where rows are fixed."""
    row_overhead_kib: float | None
    """The same without the state."""
    row_heap_kib: float | None
    row_resident_kib: float | None
    """After malloc has given back what a call used in between."""
    row_call_kib: float | None
    """What a row takes at most while the session is stepped, intermediate values included."""


def measure_many(job: Job, *, streams: int = 1000) -> ManyStreams:
    """Run `streams` sessions, then one session of as many rows, in a fresh process each.

    Raises:
        EdgeseqError: the model cannot be stepped, or the process failed.
    """
    program = "edgeseq.bench.streams"
    sessions = run_fresh(program, job, streams=streams, rows=False)
    rows = run_fresh(program, job, streams=streams, rows=True) if sessions["any_rows"] else {}
    state = sessions["state"] / _KIB

    def each(report: dict[str, Any], key: str) -> float | None:
        value = report.get(key)
        return None if value is None else round(value / streams / _KIB, 3)

    session, row = (
        max((v for v in (each(r, "heap"), each(r, "resident")) if v is not None), default=None)
        for r in (sessions, rows)
    )
    return ManyStreams(
        streams=streams,
        state_kib=round(state, 3),
        session_kib=session,
        session_overhead_kib=_over(session, state),
        session_heap_kib=each(sessions, "heap"),
        session_resident_kib=each(sessions, "resident"),
        row_kib=row,
        row_overhead_kib=_over(row, state),
        row_heap_kib=each(rows, "heap"),
        row_resident_kib=each(rows, "resident"),
        row_call_kib=each(rows, "call"),
    )


def _over(value: float | None, state: float) -> float | None:
    return None if value is None else round(value - state, 3)


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Open and step the streams of `request`; return what all of them took, in bytes."""
    import numpy as np

    from edgeseq.runtime import SessionSettings, StreamModel, StreamSession

    model = StreamModel.load(
        Path(request["source"]),
        variant=request["variant"],
        provider=request["provider"],
        settings=SessionSettings(**request["session"]),
    )
    contract = model.contract
    if contract.form == "sequence" or contract.chunk_min > 1 or contract.streams not in (None, 1):
        raise EdgeseqError(f"{model.source} cannot be stepped one frame of one stream at a time")
    count, frame = request["streams"], np.asarray(request["frame"], np.float32)
    rows, frames = (count, np.stack([frame] * count)) if request["rows"] else (1, frame)
    for few in (1, 2) if contract.streams is None else (1,):  # code and plans that all share
        warm = StreamSession(model, streams=few)
        for _ in range(STEPS):
            warm.step(np.stack([frame] * few) if few > 1 else frame)
    before = _settled()
    sessions = [StreamSession(model, streams=rows) for _ in range(1 if rows > 1 else count)]
    for _ in range(STEPS):
        for session in sessions:
            session.step(frames)
    peak = memory().get("peak")
    after = _settled() if rows > 1 else _reading()
    taken = {key: after[key] - before[key] for key in before.keys() & after.keys()}
    if "peak" in before and peak is not None:
        taken["call"] = peak - before["peak"]
    state = sum(
        int(np.prod(item.sized(1, STEPS))) * np.dtype(item.dtype).itemsize
        for item in contract.states
    )
    return {**taken, "state": state, "any_rows": contract.streams is None}


def _settled() -> dict[str, int]:
    """Read memory after giving back what is merely kept, and start the peak anew."""
    gc.collect()
    with suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
    reading = _reading()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        reading["peak"] = memory()["peak"]
    return reading


def _reading() -> dict[str, int]:
    gc.collect()
    found = {"heap": heap(), "resident": memory().get("anonymous")}
    return {key: value for key, value in found.items() if value is not None}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
