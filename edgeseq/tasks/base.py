"""What a task is: data, a split by people or time, a metric, and baselines beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output

Array = NDArray[np.float32]

Predict = Callable[[Array], Array]
"""Frames `(N, T, F)` of N streams, each from a reset state → outputs `(N, T, C)`, causal in T."""

Step = Callable[[Array], Array]
"""The next frame `(N, F)` of N streams → outputs `(N, C)`; it remembers the frames before."""

Progress = Callable[[str], None]
"""Called with one line when something slow begins."""

UNKNOWN = -1
"""Class number of a frame whose class is not known; unknown values are NaN."""


@dataclass(frozen=True)
class Recording:
    """One uninterrupted stretch of frames from one subject."""

    frames: Array
    """`(T, F)`, raw units."""
    target: NDArray[Any]
    """`(T,)` int64 class, `UNKNOWN` where unknown; or `(T, K)` float32, NaN where unknown."""
    subject: str
    """Who or what was recorded; a split by subject never puts one on two sides."""
    name: str


@dataclass(frozen=True)
class Split:
    """Disjoint recordings: fit on `train`, choose on `validation`, report on `test`."""

    train: tuple[Recording, ...]
    validation: tuple[Recording, ...]
    test: tuple[Recording, ...]


@dataclass(frozen=True)
class Streamed:
    """What an app sees that plays recordings one after the other and never resets the state.

    A decision stands from the frame at which it has held for `held_s` until another one has. A
    sequence is a stretch of one recording's frames with one known class. Counted in `hours` of
    signal; see `edgeseq.tasks.streamed` for how.
    """

    frame_accuracy: float
    """% of the frames with a known class at which the standing decision is that class."""
    sequence_accuracy: float
    """% of the sequences at whose last frame the standing decision is their class."""
    delay_s: float | None
    """Median time from a sequence's start until its class stands, the deciding frame included;
    of the sequences that follow one of another class, and in which it ever does."""
    delay_p90_s: float | None
    """What nine of ten such delays do not exceed."""
    undecided: float
    """% of the sequences that follow one of another class in which their class never stands."""
    false_alarms_per_hour: float
    """How often the standing decision changes to a class that is not the frame's, known one."""
    sequences: int
    hours: float
    held_s: float
    """How long a decision must hold before it stands."""


@dataclass(frozen=True)
class Score:
    """One number about one predictor on some recordings, with what is needed to doubt it."""

    metric: str
    """Name with unit: `window accuracy %`, `MAE mg/dL`."""
    value: float
    higher_is_better: bool
    count: int
    """Windows or frames that were scored."""
    per_subject: dict[str, float] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows: truth, columns: decision; classification only."""
    streamed: Streamed | None = None
    """The same recordings as one endless stream, where that was asked for."""


@dataclass(frozen=True)
class Losses:
    """What a predictor loses on each window that is scored: what its score is the mean of."""

    metric: str
    """As in `Score`."""
    higher_is_better: bool
    """Then a loss is what is missing to 100."""
    total: NDArray[np.float64]
    """`(N,)` sum over the window: 100 for a wrong decision, or absolute errors."""
    count: NDArray[np.int64]
    """`(N,)` decisions or frames that were scored."""
    subject: NDArray[np.str_]
    """`(N,)` who was recorded."""
    recording: NDArray[np.int64]
    """`(N,)` which recording, in the order in which they were given."""
    start: NDArray[np.int64]
    """`(N,)` the window's first frame in it."""

    @property
    def value(self) -> float:
        """The score."""
        loss = float(self.total.sum() / self.count.sum())
        return 100 - loss if self.higher_is_better else loss


class Task(Protocol):
    """What train, quantize, check and the report need to know of a task."""

    @property
    def name(self) -> str:
        """What `edgeseq train` calls it: a registered name, or the path of a TOML."""

    @property
    def summary(self) -> str:
        """One line."""

    @property
    def source(self) -> str:
        """Where the data comes from and its licence."""

    @property
    def frame(self) -> Frame:
        """What a model is fed."""

    @property
    def output(self) -> Output:
        """What a model returns."""

    @property
    def window(self) -> int | None:
        """Frames in a scored window, each from a reset state; none: score every frame."""

    @property
    def warmup(self) -> int:
        """Frames after a reset whose outputs are not scored."""

    @property
    def folds(self) -> int:
        """How many splits there are."""

    @property
    def training(self) -> Mapping[str, Any]:
        """What suits the task of `edgeseq.train.FitSettings`, other than the defaults."""

    def recordings(self) -> tuple[Recording, ...]:
        """Load all recordings; fetches and caches the data the first time."""

    def split(self, fold: int = 0) -> Split:
        """Return fold `fold` of `folds`; validation is disjoint in the way the test is."""

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Judge `predict` on `recordings`."""

    def losses(
        self, predict: Predict, recordings: Sequence[Recording], first: int | None = None
    ) -> Losses:
        """Return what the score is the mean of; `first`: only that many frames of each window."""

    def frame_losses(self, predict: Predict, recordings: Sequence[Recording]) -> Losses:
        """Return what is lost at every frame, each by itself: finer than what the score counts."""

    def streamed(self, predict: Predict, recordings: Sequence[Recording]) -> Streamed | None:
        """Judge `predict` on `recordings` as one stream; none where values are forecast."""

    def decide(self, outputs: Array) -> NDArray[Any]:
        """Per-frame decisions of outputs `(..., C)`: class numbers, or the values themselves."""

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        """Return plausible variations of training frames `(T, F)` or `(N, T, F)`, same shape."""

    def baselines(self, split: Split) -> dict[str, Score]:
        """Fit the trivial and the strong baseline on `split.train`; score them on `split.test`."""


@runtime_checkable
class Steppable(Protocol):
    """A `Predict` that can carry state from frame to frame, as closing a loop needs it."""

    def stepper(self, streams: int) -> Step | None:
        """Return `streams` streams at reset; none where it cannot take one frame at a time."""


def stepper(predict: Predict, streams: int) -> Step:
    """Return `predict` one frame at a time, for `streams` streams that begin now.

    Where it offers none, all that was seen is played again at every frame.
    """
    step = predict.stepper(streams) if isinstance(predict, Steppable) else None
    return replay(predict) if step is None else step


def replay(predict: Predict, memory: int | None = None) -> Step:
    """Return `predict` one frame at a time, without state: the past is played at every frame.

    The outputs are the same, the cost grows with the square of the length. `memory`: frames that
    an output depends on; none: all.
    """
    history: list[Array] = []

    def step(frame: Array) -> Array:
        history[:] = [*history, frame][-(memory or 0) :]
        return predict(np.stack(history, axis=1))[:, -1]

    return step


def stream(recordings: Sequence[Recording], frames: int, *, seed: int = 0) -> Array:
    """Join whole recordings, in an order drawn by `seed`, to one stream of real `frames`.

    Returns `(frames, F)` float32. Where the recordings are too short for it, they come again.
    """
    order = np.random.default_rng(seed).permutation(len(recordings))
    joined = np.concatenate([recordings[index].frames for index in order])
    repeats = -(-frames // len(joined))
    return np.tile(joined, (repeats, 1))[:frames]
