"""What tasks share whose data is made up: sides of a split that are drawn by different seeds."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgeseq.tasks.base import Array, Recording, Split

RATE_HZ = 100.0
"""Nominal: nothing was recorded, but streams are paced, and delays are told in seconds."""
FOLDS = 5
"""Each another draw of all three sides."""
COUNTS = (4000, 500, 500)
"""Recordings that are trained on, chosen by, and tested on."""

Make = Callable[[int, np.random.Generator], tuple[Array, NDArray[np.generic]]]
"""A number of recordings → frames `(N, T, F)` and targets `(N, T)` or `(N, T, K)`."""


def draws(make: Make) -> Callable[[int], Split]:
    """Return a function that draws the split of a fold, once."""

    @cache
    def split(fold: int) -> Split:
        sides = (
            make(count, np.random.default_rng([fold, side])) for side, count in enumerate(COUNTS)
        )
        return Split(*(_recordings(*made) for made in sides))

    return split


def everything(split: Split) -> tuple[Recording, ...]:
    """Return the recordings of all sides."""
    return (*split.train, *split.validation, *split.test)


def _recordings(frames: Array, target: NDArray[np.generic]) -> tuple[Recording, ...]:
    return tuple(
        Recording(one, answer, subject="generated", name=f"draw-{index:04d}")
        for index, (one, answer) in enumerate(zip(frames, target, strict=True))
    )


def one_hot(places: NDArray[np.int64], size: int) -> Array:
    """Return `(..., size)` with a one at each of `places` `(...)`; nothing where it is negative."""
    marks: Array = (places[..., None] == np.arange(size)).astype(np.float32)
    return marks
