"""Classification as an app meets it: one stream without a reset, and a decision at every frame.

What counts is the decision that stands: at every frame the task's rule decides by the outputs of
the last frames, and a decision stands once it has held for `HOLD` of the window, so that an app
does not flicker. It is wrong, and no false alarm, while it is still the one of the sequence before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import DataError
from edgeseq.tasks.base import UNKNOWN, Array, Predict, Recording, Streamed
from edgeseq.tasks.scoring import Rule, run

HOLD = 1 / 8
"""Share of the window that a decision by its mean must hold; one by the last frame stands."""

Classes = NDArray[np.int64]
"""One class a frame, `(T,)`, or `UNKNOWN`."""


@dataclass(frozen=True)
class Listening:
    """How an app turns a stream of outputs into decisions."""

    rate_hz: float
    """Frames a second."""
    window: int
    """Frames that a decision rests on, where the mean decides."""
    rule: Rule

    @property
    def hold(self) -> int:
        """Frames that a decision must hold before it stands."""
        return max(1, int(HOLD * self.window)) if self.rule == "mean" else 1

    def decisions(self, outputs: Array) -> Classes:
        """Return the decision that stands at every frame of outputs `(T, C)`."""
        deciding = outputs if self.rule == "last" else _recent(outputs, self.window)
        return standing(deciding.argmax(axis=-1), self.hold)


def play(
    predict: Predict, recordings: Sequence[Recording], how: Listening, *, seed: int = 0
) -> Streamed:
    """Play whole recordings, in an order drawn by `seed`, through `predict` as one stream.

    Raises:
        DataError: no frame has a known class.
    """
    order = np.random.default_rng(seed).permutation(len(recordings))
    played = [recordings[index] for index in order]
    outputs = predict(np.concatenate([item.frames for item in played])[None])[0]  # (T, C)
    targets = [item.target for item in played]
    return judge(how.decisions(outputs), targets, how)


def judge(decisions: Classes, targets: Sequence[Classes], how: Listening) -> Streamed:
    """Hold the standing `decisions` `(T,)` against the classes of the recordings played."""
    target, sequences = np.concatenate(targets), _sequences(targets)
    known = target != UNKNOWN
    if not sequences:
        raise DataError("no frame has a known class; use recordings that have labels")
    delays = _delays(decisions, target, sequences)
    decided = [delay / how.rate_hz for delay in delays if delay is not None]
    right = decisions == target
    alarms = (np.diff(decisions, prepend=UNKNOWN) != 0) & known & ~right
    hours = len(target) / how.rate_hz / 3600
    return Streamed(
        frame_accuracy=100 * float(right[known].mean()),
        sequence_accuracy=100 * float(np.mean([right[part.stop - 1] for part in sequences])),
        delay_s=float(np.median(decided)) if decided else None,
        delay_p90_s=float(np.quantile(decided, 0.9)) if decided else None,
        undecided=100 * delays.count(None) / len(delays),
        false_alarms_per_hour=int(alarms.sum()) / hours,
        sequences=len(sequences),
        hours=hours,
        held_s=how.hold / how.rate_hz,
    )


def standing(decisions: Classes, hold: int) -> Classes:
    """Return the decision that stands at every frame: the last one to hold for `hold` frames.

    >>> standing(np.array([0, 0, 1, 0, 1, 1, 1]), 2).tolist()
    [-1, 0, 0, 0, 0, 1, 1]
    """
    frame = np.arange(len(decisions))
    began = np.maximum.accumulate(np.where(_changes(decisions), frame, 0))
    held = np.maximum.accumulate(np.where(frame - began >= hold - 1, frame, -1))
    return np.where(held < 0, UNKNOWN, decisions[held])


def sliding(predict: Predict, window: int) -> Predict:
    """Return a judge of whole windows as one of streams: at every frame it sees the last ones.

    Before the stream's start it sees the first frame again.
    """

    def follow(frames: Array) -> Array:
        padded = np.pad(frames, ((0, 0), (window - 1, 0), (0, 0)), mode="edge")
        views = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)  # (N, T, F, W)
        newest = [
            run(lambda part: predict(part)[:, -1], stream.transpose(0, 2, 1)) for stream in views
        ]
        return np.stack(newest)

    return follow


def _recent(outputs: Array, window: int) -> NDArray[np.float64]:
    """Return the sum of the last `window` outputs at every frame, fewer at the start."""
    sums = np.cumsum(outputs, axis=0, dtype=np.float64)
    sums[window:] -= sums[:-window].copy()
    return sums


def _changes(values: Classes) -> NDArray[np.bool_]:
    """Say of every frame but the first whether its value is another than that of the one before."""
    changes: NDArray[np.bool_] = np.diff(values, prepend=values[:1]) != 0
    return changes


def _sequences(targets: Sequence[Classes]) -> list[slice]:
    """Return where each recording's stretches of one known class lie in the stream."""
    found, first = [], 0
    for target in targets:
        edges = [0, *np.flatnonzero(_changes(target)).tolist(), len(target)]
        for start, stop in pairwise(edges):
            if target[start] != UNKNOWN:
                found.append(slice(first + start, first + stop))
        first += len(target)
    return found


def _delays(decisions: Classes, target: Classes, sequences: Sequence[slice]) -> list[int | None]:
    """Return after how many frames the class of each sequence stands, if it is a new one."""
    delays: list[int | None] = []
    before = UNKNOWN
    for part in sequences:
        label = target[part.start]
        if label != before:
            right = decisions[part] == label
            delays.append(int(right.argmax()) + 1 if right.any() else None)
        before = label
    return delays
