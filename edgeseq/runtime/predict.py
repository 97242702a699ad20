"""A loaded model as what a task judges: whole recordings from a reset state, or step by step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeseq.contract import Contract
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


def is_stepped(contract: Contract) -> bool:
    """Say whether one stream can be fed one frame a call."""
    one = contract.chunk_min == 1 and contract.streams in (None, 1)
    return one and contract.form != "sequence"


@dataclass(frozen=True)
class Predictor:
    """A loaded model as a function of frames `(N, T, F)` that can be stepped, too."""

    model: StreamModel
    play: Callable[[StreamModel, Array], Array] = predict
    """How it plays whole recordings."""

    def __call__(self, frames: Array) -> Array:
        """Map frames `(N, T, F)`, each stream from reset, to outputs `(N, T, C)`."""
        return self.play(self.model, frames)

    def stepper(self, streams: int) -> Callable[[Array], Array] | None:
        """Return a function of the next frame `(N, F)` of `streams` streams to outputs `(N, C)`.

        Each stream is a session of its own, as in an app: activations quantized on the fly share
        one scale a call. None where the graph does not take one frame of one stream.
        """
        if not is_stepped(self.model.contract):
            return None
        sessions = [StreamSession(self.model) for _ in range(streams)]

        def step(frames: Array) -> Array:
            pairs = zip(sessions, frames, strict=True)
            return np.stack([session.step(frame) for session, frame in pairs])

        return step
