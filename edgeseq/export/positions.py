"""Positions that repeat after 2 W frames, so that a stream never ends on a counter that wraps."""

import math

import numpy as np
from numpy.typing import NDArray


def rotary_angles(window: int, head_size: int) -> NDArray[np.float64]:
    """Return the rotary angles `(2 W, K / 2)` in radians; row `t` is frame `t` modulo `2 W`."""
    return _angles(window, head_size // 2)


def sinusoids(window: int, width: int) -> NDArray[np.float64]:
    """Return what is added to frames, `(2 W, D)`: sines, then cosines of the same angles."""
    angles = _angles(window, -(-width // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width]


def _angles(window: int, count: int) -> NDArray[np.float64]:
    """Return `count` angles in radians for each frame of a period, `(2 W, count)`.

    Turns per period run geometrically from 1 to about one radian a frame, as whole numbers.
    """
    period = 2 * window
    turns = np.rint(np.geomspace(1, max(1.0, period / (2 * math.pi)), count))
    return 2 * math.pi * np.outer(np.arange(period), turns) / period
