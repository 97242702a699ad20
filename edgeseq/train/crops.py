"""Training batches: augmented crops of recordings, each batch a function of seed and step alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import DataError
from edgeseq.tasks.base import UNKNOWN, Array, Recording, Task


class Crops:
    """Draws a batch of crops for every step, from anywhere in the recordings.

    The recordings lie end to end, so that a batch is one gather, and nothing is carried from step
    to step: a resumed run needs no state of a random generator.
    """

    def __init__(
        self,
        task: Task,
        recordings: Sequence[Recording],
        *,
        length: int,
        batch: int,
        seed: int,
        augment: bool = True,
    ) -> None:
        if not recordings:
            raise DataError(f"task {task.name}: its training split has no recordings")
        self.task, self.batch, self.seed, self.augment = task, batch, seed, augment
        pieces = [_filled(recording, length) for recording in recordings]
        self.frames = np.concatenate([frames for frames, _ in pieces])  # (sum T, F)
        self.target = np.concatenate([target for _, target in pieces])  # (sum T, ...)
        self.starts = _starts([len(target) for _, target in pieces], length)
        self.offsets = np.arange(length)

    def __call__(self, step: int) -> tuple[Array, NDArray[np.generic]]:
        """Return frames `(B, L, F)` and targets `(B, L)` or `(B, L, K)` of step `step`."""
        rng = np.random.default_rng([self.seed, step])
        index = rng.choice(self.starts, self.batch)[:, None] + self.offsets  # (B, L)
        frames = self.frames[index]
        if self.augment:
            frames = self.task.augment(frames, rng)
        return frames, self.target[index]


def _filled(recording: Recording, length: int) -> tuple[Array, NDArray[np.generic]]:
    """Return at least `length` frames and their targets; frames added at the end do not count."""
    missing = max(0, length - len(recording.frames))
    frames = np.pad(recording.frames, ((0, missing), (0, 0)), mode="edge")
    edges = ((0, missing), *[(0, 0)] * (recording.target.ndim - 1))
    unknown = UNKNOWN if recording.target.dtype.kind in "iu" else np.nan
    return frames, np.pad(recording.target, edges, constant_values=unknown)


def _starts(lengths: Sequence[int], length: int) -> NDArray[np.int64]:
    """Return every place in the recordings laid end to end where a crop fits into one of them."""
    ends = np.cumsum(lengths)
    return np.concatenate(
        [np.arange(end - size, end - length + 1) for end, size in zip(ends, lengths, strict=True)]
    )
