"""Importance from outside: what a stretch of the input is worth is what is lost without it.

Zeiler & Fergus 2014, arXiv:1311.2901, with stretches of time in place of squares of a picture. It
asks nothing of a model but predictions, so it is the same for any family, file and precision.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import UsageError
from edgeseq.explain.target import Target

Array = NDArray[np.float32]
Exact = NDArray[np.float64]
Predict = Callable[[Array], Array]
"""Frames `(N, T, F)` of N streams, each from a reset state → outputs `(N, T, C)`, causal in T."""

SHARE = 25
"""A stretch is one part in so many of the input, unless asked otherwise."""
VALUES = 4_000_000
"""Values of frames that are predicted at once: they bound the memory."""
ROUNDING = 1e-5
"""Changes below this share of the score, or of 1, are the rounding of floats: no change at all.
Ranks would tell one from another."""


@dataclass(frozen=True)
class Stretches:
    """All stretches of `width` frames, half a width apart; together they cover the input."""

    frames: int
    width: int

    @property
    def starts(self) -> NDArray[np.int64]:
        """First frame of each `(S,)`."""
        last = self.frames - self.width
        return np.unique([*range(0, last, max(1, self.width // 2)), last])

    def inside(self) -> NDArray[np.bool_]:
        """Say which frames each stretch covers, `(S, T)`."""
        offsets = np.arange(self.frames) - self.starts[:, None]
        covered: NDArray[np.bool_] = (offsets >= 0) & (offsets < self.width)
        return covered

    def by_frame(self, values: Exact) -> Exact:
        """Give every frame the mean of the stretches that cover it: `(..., S)` to `(..., T)`."""
        inside = self.inside()
        mean: Exact = values @ inside / inside.sum(0)
        return mean

    def blurred(self, importance: Exact) -> Exact:
        """Return an importance by frame `(T,)` as if stretches had been asked, not frames."""
        return self.by_frame(self.inside() @ importance / self.width)


def stretches(frames: int, width: int | None = None) -> Stretches:
    """Return stretches of `width` of so many frames, or of the width that suits them.

    Raises:
        UsageError: the input is shorter than a stretch.
    """
    wide = max(1, round(frames / SHARE)) if width is None else width
    if wide > frames:
        raise UsageError(
            f"a stretch of {wide} frames is more than the {frames} that come before the decision; "
            f"choose --width {frames} or less"
        )
    return Stretches(frames, wide)


@dataclass(frozen=True)
class Occlusion:
    """What a decision loses without a stretch of its input."""

    stretches: Stretches
    change: Exact
    """`(T,)` by how much the score is higher with the frame than without it, mean of all stretches
    that cover it; below 0: the frame speaks against what was decided."""
    channels: Exact
    """The same of each channel alone, `(channels, T)`; of one channel it is the same again."""
    first: int = 0
    """The first frame that the decision can depend on."""

    @property
    def importance(self) -> Exact:
        """How much each frame matters, for or against, `(T,)`."""
        return np.abs(self.change)


def occlude(
    predict: Predict,
    frames: Array,
    target: Target,
    neutral: Array,
    *,
    channels: int = 1,
    width: int | None = None,
    memory: int | None = None,
) -> Occlusion:
    """Replace each stretch of one input by `neutral` and see what becomes of the score at its end.

    Args:
        predict: the model.
        frames: `(T, F)` up to the decision, which is at the last of them.
        target: what was decided.
        neutral: the frame `(F,)` that says nothing.
        channels: value `f` of a frame belongs to channel `f % channels`.
        width: frames of a stretch; none: what suits the input.
        memory: frames that an output depends on; earlier ones are not asked. None: all.
    """
    of = stretches(len(frames), width)
    every = np.arange(frames.shape[1])
    groups = [every % channels == channel for channel in range(channels)]
    if channels > 1:
        groups.append(every >= 0)
    recent = frames[-(memory or len(frames)) :]
    inside = of.inside()[:, -len(recent) :]  # (S, T'), T' of the recent frames
    reached = np.flatnonzero(inside.any(1))
    covered = [part[:, None] & group for group in groups for part in inside[reached]]  # (T', F)
    whole = score(predict, recent[None], target)[0]
    found = whole - _scores(predict, recent, covered, neutral, target)
    found[np.abs(found) < ROUNDING * max(1.0, abs(whole))] = 0
    changes = np.zeros((len(groups), len(inside)))
    changes[:, reached] = found.reshape(len(groups), -1)
    by_frame = of.by_frame(changes)
    return Occlusion(of, by_frame[-1], by_frame[:channels], len(frames) - len(recent))


def score(predict: Predict, frames: Array, target: Target) -> Exact:
    """Return the target's score at the last frame of streams `(N, T, F)`, `(N,)`."""
    return target.scores(predict(frames)[:, -1])


def _scores(
    predict: Predict,
    frames: Array,
    covered: list[NDArray[np.bool_]],
    neutral: Array,
    target: Target,
) -> Exact:
    """Return the score of `frames` with each of `covered` replaced by `neutral`."""
    together = max(1, VALUES // frames.size)
    parts = []
    for start in range(0, len(covered), together):
        copies = np.where(np.stack(covered[start : start + together]), neutral, frames)
        parts.append(score(predict, copies.astype(np.float32), target))
    return np.concatenate(parts)
