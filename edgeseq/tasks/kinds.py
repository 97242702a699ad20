"""The two kinds of task: decide which class a window is, or forecast a value at every frame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output
from edgeseq.tasks import baselines
from edgeseq.tasks.base import Array, Losses, Predict, Recording, Score, Split
from edgeseq.tasks.scoring import (
    Windows,
    classification_losses,
    classification_score,
    cut_windows,
    frame_losses,
    value_losses,
    value_score,
)
from edgeseq.tasks.splits import Divide, check_fold

Vary = Callable[[Array, np.random.Generator], Array]
"""A batch of raw frames `(N, T, F)` → plausible variations of the same shape."""


def _as_it_is(frames: Array, _: np.random.Generator) -> Array:
    return frames


@dataclass(frozen=True)
class Declared:
    """What every task states about itself; see `edgeseq.tasks.base.Task`."""

    name: str
    summary: str
    source: str
    frame: Frame
    output: Output
    folds: int
    load: Callable[[], tuple[Recording, ...]]
    divide: Divide
    training: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def recordings(self) -> tuple[Recording, ...]:
        """Load all recordings; fetches and caches the data the first time."""
        return self.load()

    def split(self, fold: int = 0) -> Split:
        """Return fold `fold` of `folds`."""
        check_fold(fold, self.folds, self.name)
        return self.divide(self.recordings(), fold)


@dataclass(frozen=True)
class Classification(Declared):
    """Which class a window of frames belongs to, each window played from a reset state."""

    window: int
    vary: Vary = _as_it_is
    warmup: int = 0

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Return the accuracy over windows that do not overlap."""
        windows = cut_windows(recordings, self.window)
        return classification_score(predict, windows, len(self.output.labels))

    def losses(
        self, predict: Predict, recordings: Sequence[Recording], first: int | None = None
    ) -> Losses:
        """Return which windows are wrong; `first`: decided after that many of their frames."""
        windows = cut_windows(recordings, self.window)
        return classification_losses(predict, windows, len(self.output.labels), first)

    def frame_losses(self, predict: Predict, recordings: Sequence[Recording]) -> Losses:
        """Return how many frames of each window are named wrongly."""
        return frame_losses(predict, cut_windows(recordings, self.window))

    def decide(self, outputs: Array) -> NDArray[Any]:
        """Return the class number of each frame."""
        classes: NDArray[Any] = outputs.argmax(axis=-1)
        return classes

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        """Return variations of `(T, F)` or `(N, T, F)`."""
        return _batched(self.vary, frames, rng)

    def baselines(self, split: Split) -> dict[str, Score]:
        """Score the majority class and a random forest on window statistics.

        They are fitted on `split.train`, as the networks are, from half-overlapping windows.
        """
        train = cut_windows(split.train, self.window, overlap=self.window // 2)
        classes, channels = len(self.output.labels), len(self.frame.channels)
        predictors = {
            "majority class": baselines.majority(train, classes),
            "random forest": baselines.random_forest(train, classes, channels),
        }
        return {name: self.score(predict, split.test) for name, predict in predictors.items()}


@dataclass(frozen=True)
class Forecast(Declared):
    """Values at every frame, from the frames so far.

    Scored from a reset state in stretches of `span` frames; the first `warmup` of a stretch are
    not scored but lie in the stretch before, so only a recording's first frames are left out.
    """

    warmup: int
    span: int
    vary: Vary = _as_it_is
    window: None = None

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Return the mean absolute error over all frames with a known target."""
        windows = self._stretches(recordings)
        return value_score(predict, windows, self.warmup, self.output.units)

    def losses(
        self, predict: Predict, recordings: Sequence[Recording], first: int | None = None
    ) -> Losses:
        """Return errors; `first`: of that many frames after the warm-up of each stretch."""
        windows = self._stretches(recordings)
        return value_losses(predict, windows, self.warmup, self.output.units, first)

    def frame_losses(self, predict: Predict, recordings: Sequence[Recording]) -> Losses:
        """Return errors: they are those of frames as they are."""
        return self.losses(predict, recordings)

    def decide(self, outputs: Array) -> NDArray[Any]:
        """Return the values."""
        return outputs

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        """Return variations of `(T, F)` or `(N, T, F)`."""
        return _batched(self.vary, frames, rng)

    def baselines(self, split: Split) -> dict[str, Score]:
        """Score persistence (or the mean) and a ridge auto-regression, fitted on `split.train`."""
        train, validation = self._stretches(split.train), self._stretches(split.validation)
        now = self.output.residual_of
        trivial = (
            {"mean": baselines.constant(train)}
            if now is None
            else {"persistence": baselines.persistence(now)}
        )
        ridge = baselines.ridge_autoregression(
            train, validation, lags=self.warmup + 1, residual_of=now
        )
        predictors = {**trivial, "ridge auto-regression": ridge}
        return {name: self.score(predict, split.test) for name, predict in predictors.items()}

    def _stretches(self, recordings: Sequence[Recording]) -> Windows:
        return cut_windows(recordings, self.span, overlap=self.warmup, ragged=True)


def _batched(vary: Vary, frames: Array, rng: np.random.Generator) -> Array:
    return vary(frames[None], rng)[0] if frames.ndim == 2 else vary(frames, rng)
