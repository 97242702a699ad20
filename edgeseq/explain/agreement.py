"""How far two importances agree on which frames matter more."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NOTHING = 1e-12


def agreement(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's rank correlation of two importances of the same frames, -1 to 1.

    0 where one of them is the same everywhere, so that it ranks nothing.
    """
    x, y = (ranks(np.asarray(values, np.float64)) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / spread) if spread else 0.0


def agreement_beyond(a: ArrayLike, b: ArrayLike, known: ArrayLike) -> float:
    """Return how far `a` and `b` agree in what `known` does not say: a partial correlation.

    0 where `known` says all of one of them.
    """
    ab, ak, bk = agreement(a, b), agreement(a, known), agreement(b, known)
    left = (1 - ak**2) * (1 - bk**2)
    return float((ab - ak * bk) / np.sqrt(left)) if left > _NOTHING else 0.0


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's place in their order, from 0; those that tie share their mean place."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    place: NDArray[np.float64] = (counts.cumsum() - (counts + 1) / 2)[which]
    return place
