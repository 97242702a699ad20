"""Plausible variations of training data, vectorised over a batch, on raw samples.

Frames may hold several samples; they are unstacked, varied and stacked again.
"""

import numpy as np
from numpy.typing import NDArray

from edgeseq.tasks.base import Array

Rng = np.random.Generator


def stack(samples: Array, count: int) -> Array:
    """Put `count` consecutive samples into each frame: `(..., S, C)` → `(..., S//count, C*count)`.

    Samples are ordered oldest first within a frame; a remainder at the end is dropped.
    """
    *batch, length, channels = samples.shape
    whole = samples[..., : length - length % count, :]
    return np.ascontiguousarray(whole).reshape(*batch, length // count, count * channels)


def unstack(frames: Array, channels: int) -> Array:
    """Undo `stack`: `(..., T, F)` → `(..., T * F // channels, channels)`."""
    *batch, length, size = frames.shape
    return np.ascontiguousarray(frames).reshape(*batch, length * size // channels, channels)


def jitter(samples: Array, rng: Rng, sd: float | Array) -> Array:
    """Add white noise of standard deviation `sd`, in the samples' units."""
    noise: Array = rng.standard_normal(samples.shape, dtype=np.float32) * np.float32(sd)
    return samples + noise


def tempo(samples: Array, rng: Rng, spread: float) -> tuple[Array, Array]:
    """Play each stretch of `(N, S, C)` at a speed from `1 ± spread`; return it and the speeds.

    The length stays. A slower copy starts at a random place of the stretch; a faster one needs
    more samples than there are, so it turns round at the end (reflection), which keeps the
    signal continuous.
    """
    count, length, _ = samples.shape
    speed = rng.uniform(1 - spread, 1 + spread, (count, 1))
    slack = np.maximum((length - 1) * (1 - speed), 0.0)
    place = rng.uniform(0, 1, (count, 1)) * slack + speed * np.arange(length)  # (N, S)
    last = length - 1
    place = last - np.abs(last - place)  # reflect
    low = np.clip(np.floor(place), 0, max(last - 1, 0)).astype(np.intp)
    weight = (place - low)[..., None].astype(np.float32)
    rows = np.arange(count)[:, None]
    left, right = samples[rows, low], samples[rows, np.minimum(low + 1, last)]
    return left + weight * (right - left), speed[..., None].astype(np.float32)


def rotations(count: int, rng: Rng, sd: float) -> NDArray[np.float32]:
    """Return `(count, 3, 3)` rotations by an angle ~ N(0, sd) rad about random axes (Rodrigues)."""
    axis = rng.standard_normal((count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.normal(0, sd, (count, 1, 1))
    cross = np.zeros((count, 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axis
    cross[:, [1, 2, 0], [2, 0, 1]] = -axis
    turned = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turned.astype(np.float32)
