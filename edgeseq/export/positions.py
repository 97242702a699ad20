"""Rotary positions (Su et al. 2021, arXiv:2104.09864) that repeat, so that a stream never ends."""

import math

import numpy as np
from numpy.typing import NDArray


def rotary_angles(window: int, head_size: int) -> NDArray[np.float64]:
    """Return the rotary angles `(2 W, K / 2)` in radians; row `t` is frame `t` modulo `2 W`.

    Turns per period run geometrically from 1 to about one radian a frame, as whole numbers.
    """
    period = 2 * window
    turns = np.rint(np.geomspace(1, max(1.0, period / (2 * math.pi)), head_size // 2))
    return 2 * math.pi * np.outer(np.arange(period), turns) / period
