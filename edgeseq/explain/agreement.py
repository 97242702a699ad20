"""How far two importances agree on which frames matter more."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def agreement(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's rank correlation of two importances of the same frames, -1 to 1.

    0 where one of them is the same everywhere, so that it ranks nothing.
    """
    x, y = (ranks(np.asarray(values, np.float64)) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / spread) if spread else 0.0


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's place in their order, from 0; those that tie share their mean place."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    place: NDArray[np.float64] = (counts.cumsum() - (counts + 1) / 2)[which]
    return place
