"""Whole recordings through a loaded model, each from a reset state."""

import numpy as np

from edgeseq.runtime.buffers import Array
from edgeseq.runtime.model import StreamModel
from edgeseq.runtime.stream import StreamSession


def predict(model: StreamModel, frames: Array) -> Array:
    """Map frames `(N, T, F)` of N streams to outputs `(N, T, C)`, as an app would get them.

    A model with a fixed number of streams takes them in groups; the last one is filled up. One
    with a fixed number of frames is fed some more at the end: models are causal.
    """
    count, length = frames.shape[:2]
    group = model.contract.streams or count
    padded = np.resize(frames, (-(-count // group) * group, *frames.shape[1:]))
    tail = -length % model.contract.chunk_min
    padded = np.pad(padded, ((0, 0), (0, tail), (0, 0)), mode="edge")
    outputs = []
    for start in range(0, count, group):
        with StreamSession(model, streams=group) as session:
            part = padded[start : start + group]
            outputs.append(session.run(part[0])[None] if group == 1 else session.run(part))
    return np.concatenate(outputs)[:count, :length]
