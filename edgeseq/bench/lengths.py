"""What memory a process needs at its peak to answer streams of so many frames.

`python -m edgeseq.bench.lengths REQUEST` takes a JSON request and writes one JSON line.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgeseq.bench.fresh import Job, run_fresh
from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.memory import PREFIX
from edgeseq.bench.probe import load, memory

IDLE = "idle"
_MIB = 2.0**20


def measure_lengths(
    jobs: Mapping[str, Job], lengths: Sequence[int], *, repeats: int = 3
) -> dict[str, tuple[float | None, ...]]:
    """Return the MiB at the peak of fresh processes for each length, medians, by job and `IDLE`.

    Of each job what it takes more than a session that does nothing with as many frames; of that
    session itself, all it takes. None where the system does not tell. A graph without state is
    given the whole stream at once, any other one frame after the other.

    Raises:
        EdgeseqError: a process failed; with its last words.
    """
    first = next(iter(jobs.values()))
    found: dict[tuple[str, int], list[float | None]] = {}
    with TemporaryDirectory(prefix=PREFIX) as folder:
        nothing = Path(folder, "identity.onnx")
        nothing.write_bytes(identity_onnx())
        everything = {IDLE: replace(first, source=nothing, variant=None, frame=(0.0,)), **jobs}
        for _ in range(repeats):
            for length in lengths:
                for name, job in everything.items():
                    report = run_fresh("edgeseq.bench.lengths", job, length=length)
                    found.setdefault((name, length), []).append(report.get("peak"))
    peaks = {key: _median(values) for key, values in found.items()}
    return {
        name: tuple(
            _above(peaks[name, n], None if name == IDLE else peaks[IDLE, n]) for n in lengths
        )
        for name in everything
    }


def main(request: dict[str, Any]) -> dict[str, int]:
    """Answer a stream of the length that is asked for, and read what that took."""
    from edgeseq.runtime import StreamSession

    model = load(request)
    row = np.asarray(request["frame"], np.float32)
    session = StreamSession(model)
    if model.contract.form == "sequence":
        session.run(np.tile(row, (request["length"], 1)))
    else:
        for _ in range(request["length"]):
            session.step(row)
    return memory()


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _above(peak: float | None, idle: float | None) -> float | None:
    return None if peak is None else round((peak - (idle or 0.0)) / _MIB, 3)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
