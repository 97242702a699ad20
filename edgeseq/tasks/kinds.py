"""The two kinds of task: decide which class a window is, or forecast a value at every frame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output
from edgeseq.tasks import baselines
from edgeseq.tasks.base import Array, Losses, Predict, Recording, Score, Split, Streamed
from edgeseq.tasks.scoring import (
    Rule,
    Windows,
    classification_losses,
    classification_score,
    cut_windows,
    frame_losses,
    value_losses,
    value_score,
)
from edgeseq.tasks.splits import Divide, check_fold
from edgeseq.tasks.streamed import Listening, play, sliding

Vary = Callable[[Array, np.random.Generator], Array]
"""A batch of raw frames `(N, T, F)` → plausible variations of the same shape."""

Fit = Callable[[Windows, int, int], Predict]
"""Training windows, classes and raw channels → a judge of whole windows."""

_FOREST: Mapping[str, Fit] = {"random forest": baselines.random_forest}

Beside = Callable[[Windows, Windows], dict[str, Predict]]
"""Windows to fit on, and windows to choose by → the baselines by name."""


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

    def streamed(self, predict: Predict, recordings: Sequence[Recording]) -> Streamed | None:
        """Return nothing, where no class is looked for."""


@dataclass(frozen=True)
class Classification(Declared):
    """Which class a window of frames belongs to, each window played from a reset state."""

    window: int
    vary: Vary = _as_it_is
    warmup: int = 0
    rule: Rule = field(default="mean", kw_only=True)
    ragged: bool = field(default=False, kw_only=True)
    """A recording that is shorter than the window is one, too."""
    recent: int | None = field(default=None, kw_only=True)
    """Frames that a decision rests on in a stream; none: as many as in a window."""
    strong: Mapping[str, Fit] = field(default_factory=lambda: _FOREST, kw_only=True)
    """Baselines that are hard to beat, by name."""

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Return the accuracy over windows that do not overlap."""
        windows = self._windows(recordings)
        return classification_score(predict, windows, len(self.output.labels), self.rule)

    def losses(
        self, predict: Predict, recordings: Sequence[Recording], first: int | None = None
    ) -> Losses:
        """Return which windows are wrong; `first`: decided after that many of their frames."""
        windows = self._windows(recordings)
        return classification_losses(
            predict, windows, len(self.output.labels), first, rule=self.rule
        )

    def frame_losses(self, predict: Predict, recordings: Sequence[Recording]) -> Losses:
        """Return how many frames of each window are named wrongly."""
        return frame_losses(predict, self._windows(recordings))

    def streamed(self, predict: Predict, recordings: Sequence[Recording]) -> Streamed:
        """Judge `predict` on `recordings` as one stream; see `edgeseq.tasks.streamed`."""
        how = Listening(self.frame.rate_hz, self.recent or self.window, self.rule)
        return play(predict, recordings, how)

    def decide(self, outputs: Array) -> NDArray[Any]:
        """Return the class number of each frame."""
        classes: NDArray[Any] = outputs.argmax(axis=-1)
        return classes

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        """Return variations of `(T, F)` or `(N, T, F)`."""
        return _batched(self.vary, frames, rng)

    def baselines(self, split: Split) -> dict[str, Score]:
        """Score the majority class and the strong ones, as windows and on a stream's last window.

        They are fitted on `split.train`, as the networks are, from half-overlapping windows. Where
        windows are recordings of any length, they cannot follow a stream.
        """
        train = self._windows(split.train, overlap=self.window // 2)
        classes, channels = len(self.output.labels), len(self.frame.channels)
        predictors = {"majority class": baselines.majority(train, classes)} | {
            name: fit(train, classes, channels) for name, fit in self.strong.items()
        }
        return {name: self._both(predict, split.test) for name, predict in predictors.items()}

    def _both(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        score = self.score(predict, recordings)
        if self.ragged:
            return score
        return replace(score, streamed=self.streamed(sliding(predict, self.window), recordings))

    def _windows(self, recordings: Sequence[Recording], overlap: int = 0) -> Windows:
        return cut_windows(recordings, self.window, overlap=overlap, ragged=self.ragged)


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
    beside: Beside | None = None
    """Which baselines; none: persistence or the mean, and a ridge auto-regression."""

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
        """Score the task's baselines, fitted on `split.train` with `split.validation` to choose."""
        train, validation = self._stretches(split.train), self._stretches(split.validation)
        predictors = (self.beside or self._usual)(train, validation)
        return {name: self.score(predict, split.test) for name, predict in predictors.items()}

    def _usual(self, train: Windows, validation: Windows) -> dict[str, Predict]:
        now = self.output.residual_of
        trivial = (
            {"mean": baselines.constant(train)}
            if now is None
            else {"persistence": baselines.persistence(now)}
        )
        ridge = baselines.ridge_autoregression(
            train, validation, lags=self.warmup + 1, residual_of=now
        )
        return {**trivial, "ridge auto-regression": ridge}

    def _stretches(self, recordings: Sequence[Recording]) -> Windows:
        return cut_windows(recordings, self.span, overlap=self.warmup, ragged=True)


def _batched(vary: Vary, frames: Array, rng: np.random.Generator) -> Array:
    return vary(frames[None], rng)[0] if frames.ndim == 2 else vary(frames, rng)
