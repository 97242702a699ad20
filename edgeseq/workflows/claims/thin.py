"""A task with less, or with spoilt, training data; its test stays as it is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.tasks.base import UNKNOWN, Recording, Split, Task


class Altered:
    """A task but for its split."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the task has
        return getattr(self._task, name)


class Thinned(Altered):
    """A task with a share of its training and validation frames."""

    def __init__(self, task: Task, share: float, seed: int) -> None:
        super().__init__(task)
        self._share, self._seed = share, seed

    def split(self, fold: int = 0) -> Split:
        """Return the fold with both sides that are learned from cut down."""
        split = self._task.split(fold)
        return Split(self._thin(split.train), self._thin(split.validation), split.test)

    def _thin(self, recordings: Sequence[Recording]) -> tuple[Recording, ...]:
        return thin(recordings, self._share, self._seed)


def thin(recordings: Sequence[Recording], share: float, seed: int) -> tuple[Recording, ...]:
    """Return whole recordings with `share` of the frames, classes in turns, the last one cut.

    Which ones is drawn by `seed`; a smaller share is a part of a larger one.
    """
    rng = np.random.default_rng([seed, 71])
    order = rng.permutation(len(recordings)).tolist()
    turns: dict[Any, int] = {}
    ranked = []
    for index in order:
        kind = _kind(recordings[index])
        turns[kind] = turns.get(kind, 0) + 1
        ranked.append((turns[kind], index))
    left = max(1, round(share * sum(len(recording.frames) for recording in recordings)))
    kept = []
    for _, index in sorted(ranked, key=lambda pair: pair[0]):
        recording = recordings[index]
        kept.append(_first(recording, left))
        left -= len(recording.frames)
        if left <= 0:
            break
    return tuple(kept)


def _first(recording: Recording, frames: int) -> Recording:
    if frames >= len(recording.frames):
        return recording
    return replace(recording, frames=recording.frames[:frames], target=recording.target[:frames])


def _kind(recording: Recording) -> Any:  # noqa: ANN401 - a class, or nothing
    """Return the most frequent known class of a recording; none where values are forecast."""
    target = recording.target
    if target.dtype.kind != "i" or target.ndim > 1 or not (target != UNKNOWN).any():
        return None
    classes, counts = np.unique(target[target != UNKNOWN], return_counts=True)
    return int(classes[counts.argmax()])


def _known(recording: Recording) -> NDArray[np.bool_]:
    """Return where a recording's targets are known."""
    target = recording.target
    known: NDArray[np.bool_] = target != UNKNOWN if target.dtype.kind == "i" else ~np.isnan(target)
    return known


class _Shuffled(Altered):
    def split(self, fold: int = 0) -> Split:
        split = self._task.split(fold)
        return Split(_mixed(split.train), _mixed(split.validation), split.test)


def shuffled(task: Task) -> Task:
    """Return a task whose known targets are dealt out anew: there is nothing to learn."""
    return _Shuffled(task)


def _mixed(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    masks = [_known(recording) for recording in recordings]
    pairs = zip(recordings, masks, strict=True)
    values = np.concatenate([recording.target[mask] for recording, mask in pairs])
    dealt = np.split(
        np.random.default_rng(0).permutation(values), np.cumsum([mask.sum() for mask in masks])[:-1]
    )
    mixed = []
    for recording, mask, part in zip(recordings, masks, dealt, strict=True):
        target = recording.target.copy()
        target[mask] = part
        mixed.append(replace(recording, target=target))
    return tuple(mixed)
