"""What training minimises: cross-entropy for classes, absolute error for values."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseq.tasks.base import UNKNOWN


def classification_loss(
    logits: Tensor, target: Tensor, *, label_smoothing: float = 0.0, skip: float = 0.0
) -> Tensor:
    """Return half the cross-entropy per frame and half that of each crop's mean logits.

    `logits` `(N, T, C)`, `target` `(N, T)` int64 with `UNKNOWN` where unknown. The first half asks
    for an answer at every frame, but for the first `skip` share of a crop, which cannot know yet;
    the second asks the crop as a whole, as windows are scored. Crops in which the class changes
    have only the first half.
    """
    frame = frame_loss(logits, target, label_smoothing=label_smoothing, skip=skip)
    known = target != UNKNOWN
    mean = (logits * known[..., None]).sum(1) / known.sum(1, keepdim=True).clamp(min=1)
    crop = _cross_entropy(mean, _only_class(target, known), label_smoothing)
    return (frame + crop) / 2


def frame_loss(
    logits: Tensor, target: Tensor, *, label_smoothing: float = 0.0, skip: float = 0.0
) -> Tensor:
    """Return the cross-entropy per frame, but for the first `skip` share of each crop.

    `logits` `(N, T, C)`, `target` `(N, T)` int64 with `UNKNOWN` where unknown. It is all that is
    asked where every frame has an answer of its own, as the next token is.
    """
    first = math.ceil(skip * target.shape[1])
    return _cross_entropy(
        logits[:, first:].flatten(0, 1), target[:, first:].flatten(), label_smoothing
    )


def _cross_entropy(logits: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean cross-entropy over known targets; zero where none is known."""
    total = F.cross_entropy(
        logits, target, ignore_index=UNKNOWN, label_smoothing=label_smoothing, reduction="sum"
    )
    return total / (target != UNKNOWN).sum().clamp(min=1)


def _only_class(target: Tensor, known: Tensor) -> Tensor:
    """Return each crop's class `(N,)`, or `UNKNOWN` where it changes or is never known."""
    high = target.masked_fill(~known, -1).amax(1)
    low = target.masked_fill(~known, torch.iinfo(target.dtype).max).amin(1)
    return torch.where(high == low, high, UNKNOWN)


def regression_loss(outputs: Tensor, target: Tensor, scale: Tensor, *, skip: float = 0.0) -> Tensor:
    """Return the mean Huber loss of outputs `(N, T, K)` in units of `scale` `(K,)`.

    NaN targets do not count. The quadratic part is a tenth of `scale` wide, so that the optimum is
    all but the one of the mean absolute error, which is the metric, and still smooth.
    """
    first = math.ceil(skip * target.shape[1])
    error = (outputs - target)[:, first:] / scale
    known = ~torch.isnan(error)
    error = torch.where(known, error, 0.0)
    total = F.huber_loss(error, torch.zeros_like(error), reduction="sum", delta=0.1)
    return total / known.sum().clamp(min=1) / 0.1
