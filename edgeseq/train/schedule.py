"""The learning rate over a run: the one-cycle schedule (Smith & Topin 2018, arXiv:1708.07120)."""

import math


def one_cycle(step: int, steps: int, *, warmup: float) -> float:
    """Return the share of the peak learning rate for `step` of `steps`.

    A half cosine up from 1/25 in the first `warmup` share, then one down to nearly nothing.
    """
    rise = warmup * steps
    if step < rise:
        return _cosine(0.04, 1.0, step / rise)
    return _cosine(1.0, 1e-3, (step - rise) / max(1.0, steps - 1 - rise))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
