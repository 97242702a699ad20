"""Replays frames through ONNX files on the CPU that is here, real or emulated; needs no PyTorch.

    python tests/benchmarks/replay.py JOBS.json OUTPUTS.npz

A job names a file, an array of frames `(T, F)` beside it and how many frames a call takes; the
state is fed back by edgeseq's own runtime. `everywhere.py` runs this on each CPU.
"""

import json
import sys
from pathlib import Path

import numpy as np

from edgeseq.runtime import StreamModel, StreamSession


def replay(file: Path, frames: np.ndarray, call: int) -> np.ndarray:
    with StreamSession(StreamModel.load(file)) as session:
        if call == 1:
            return np.stack([session.step(frame) for frame in frames])
        cuts = range(0, len(frames), call)
        return np.concatenate([session.run(frames[start : start + call]) for start in cuts])


def main(jobs: Path, target: Path) -> None:
    outputs = {}
    for job in json.loads(jobs.read_text()):
        frames = np.load(jobs.parent / job["frames"])
        outputs[job["name"]] = replay(jobs.parent / job["file"], frames, job["call"])
    np.savez(target, **outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
