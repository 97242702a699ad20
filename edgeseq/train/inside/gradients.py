"""Gradients of a decision by its input: what a small change of each value would do to it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeseq.errors import UsageError
from edgeseq.explain.occlusion import score
from edgeseq.explain.target import Target
from edgeseq.models import SequenceModel
from edgeseq.train.inside.seen import evaluated, exact
from edgeseq.train.predict import predictor

Array = NDArray[np.float32]
Exact = NDArray[np.float64]

STEPS = (32, 128, 512)
"""Places on the way from nothing to the input where the gradient is taken; more, where with fewer
the shares do not add up."""
LEFT = 0.01
"""Share of the difference by which they may fail to."""


def gradient_times_input(
    model: SequenceModel, frames: Array, target: Target, baseline: Array
) -> Exact:
    """Return each value's gradient times how far it is from `baseline` `(F,)`, `(T, F)`.

    Simonyan et al. 2013, arXiv:1312.6034, of the score at the last frame. Raw units have no natural
    zero, so values count from what says nothing.
    """
    x = torch.from_numpy(frames)
    away = x - torch.from_numpy(baseline)
    return exact(_gradients(model, x[None], target)[0] * away)


def integrated_gradients(
    model: SequenceModel, frames: Array, target: Target, baseline: Array
) -> Exact:
    """Return each value's share `(T, F)` in what the score differs from that of `baseline`.

    Sundararajan et al. 2017, arXiv:1703.01365: the gradient's mean along the straight way from
    `baseline` `(F,)` at every frame to the input, so that all shares add up to the difference.
    """
    nothing = np.broadcast_to(baseline, frames.shape)
    one, none = score(predictor(model), np.stack([frames, nothing]), target)
    for steps in STEPS:
        shares = _integrated(model, frames, target, baseline, steps)
        if abs(shares.sum() - (one - none)) <= LEFT * abs(one - none):
            break
    return shares


def _integrated(
    model: SequenceModel, frames: Array, target: Target, baseline: Array, steps: int
) -> Exact:
    """Take the gradient in the middles of `steps` equal parts of the way."""
    x = torch.from_numpy(frames)
    away = x - torch.from_numpy(baseline)
    places = 1 - (torch.arange(steps) + 0.5) / steps
    total = torch.zeros_like(x, dtype=torch.float64)
    for part in torch.split(places, STEPS[0]):
        on_the_way = x - part[:, None, None] * away  # (32, T, F)
        total += _gradients(model, on_the_way, target).double().sum(0)
    return exact(total / steps * away)


def _gradients(model: SequenceModel, frames: Tensor, target: Target) -> Tensor:
    """Return the gradient of each stream's score at its last frame, `(N, T, F)`."""
    if model.vocabulary:
        raise UsageError(
            "tokens are numbers of a list, which have no gradient; choose --method occlusion"
        )
    frames = frames.clone().requires_grad_()
    with evaluated(model), torch.enable_grad():
        outputs = model(frames)[:, -1]  # (N, C)
        if target.output.kind == "logits":
            outputs = outputs.log_softmax(-1)
        (gradients,) = torch.autograd.grad(outputs[:, target.index].sum(), frames)
    return gradients
