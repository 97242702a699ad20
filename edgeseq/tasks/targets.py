"""Targets made from a signal's own future."""

import numpy as np

from edgeseq.tasks.base import Array


def ahead(values: Array, horizon: int) -> Array:
    """Return values `(T, K)` as they are `horizon` frames later; NaN where that is beyond the end.

    >>> ahead(np.array([[1.0], [2.0], [3.0]], np.float32), 2).ravel().tolist()
    [3.0, nan, nan]
    """
    target = np.full_like(values, np.nan)
    target[: max(len(values) - horizon, 0)] = values[horizon:]
    return target
