"""What a task is: data, a split by people or time, a metric, and baselines beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output

Array = NDArray[np.float32]

Predict = Callable[[Array], Array]
"""Frames `(N, T, F)` of N streams, each from a reset state → outputs `(N, T, C)`."""


@dataclass(frozen=True)
class Recording:
    """One uninterrupted stretch of frames from one subject."""

    frames: Array
    """`(T, F)`, raw units."""
    target: NDArray[Any]
    """`(T,)` int64 class, or `(T, K)` float32 in physical units; NaN where unknown."""
    subject: str
    """Who or what was recorded; a split never puts one subject on two sides."""
    name: str


@dataclass(frozen=True)
class Split:
    """Disjoint recordings: fit on `train`, choose on `validation`, report on `test`."""

    train: tuple[Recording, ...]
    validation: tuple[Recording, ...]
    test: tuple[Recording, ...]


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


class Task(Protocol):
    """What train, quantize, check and the report need to know of a task."""

    name: str
    summary: str
    source: str
    """Where the data comes from and its licence."""
    frame: Frame
    output: Output
    window: int | None
    """Frames in a scored window, each from a reset state; none: score every frame."""
    folds: int

    def recordings(self) -> tuple[Recording, ...]:
        """Load all recordings; fetches and caches the data the first time."""

    def split(self, fold: int = 0) -> Split:
        """Return fold `fold` of `folds`; validation is disjoint in the way the test is."""

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Judge `predict` on `recordings`."""

    def decide(self, outputs: Array) -> NDArray[Any]:
        """Per-frame decisions of outputs `(..., C)`: class numbers, or the values themselves."""

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        """Return a plausible variation of training frames `(T, F)`; the target stays."""

    def baselines(self, split: Split) -> dict[str, Score]:
        """Score the trivial and the strong baseline on `split.test`."""
