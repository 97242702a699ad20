"""Attention weights of every block: who looked at whom, and how much."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from edgeseq.errors import UsageError
from edgeseq.explain.inside import Attended
from edgeseq.models import SequenceModel
from edgeseq.models.attention import Attention
from edgeseq.models.bidirectional import WholeAttention
from edgeseq.models.encoder import Encoder
from edgeseq.models.encoder_decoder import EncoderDecoder
from edgeseq.models.vit import ViT
from edgeseq.train.inside.seen import exact, inputs_of, watched

MOST = 2048
"""Frames of one map, which has as many weights a head as that squared."""
_OTHERWISE = "choose --method occlusion"


def attention_of(model: SequenceModel, frames: NDArray[np.float32]) -> tuple[Attended, ...]:
    """Return the weights of every block that the output at the last of `frames` `(T, F)` is from.

    Raises:
        UsageError: the family has no attention, or none between frames, or there are too many
            frames for a map.
    """
    body, family = model.body, model.spec.family
    if isinstance(body, Encoder):
        return _encoder(model, body, frames)
    if isinstance(body, ViT):
        raise UsageError(
            "attention of the family vit is between patches of several frames and values, not "
            f"between frames; {_OTHERWISE}"
        )
    if isinstance(body, EncoderDecoder):
        raise UsageError(
            "attention of the family encoder-decoder goes two ways, to the source and to the "
            f"window, and is no one map of frames; {_OTHERWISE}"
        )
    if len(frames) > MOST:
        raise UsageError(
            f"a map of {len(frames):,} frames is too large, at most {MOST:,} can be shown; leave "
            "some out with --skip, or decide earlier with --at"
        )
    with torch.no_grad():
        found = [
            Attended(layer, exact(module.weights(x[None])[0]))
            for layer, (module, x) in enumerate(inputs_of(model, frames, Attention))
        ]
    if not found:
        raise UsageError(f"a model of the family {family} has no attention; {_OTHERWISE}")
    return tuple(found)


def _encoder(
    model: SequenceModel, body: Encoder, frames: NDArray[np.float32]
) -> tuple[Attended, ...]:
    """Return the weights of the window that ends with the last frame."""
    first = len(frames) - body.window
    x = model.normalised(torch.from_numpy(frames[max(0, first) :]))  # (T, I)
    with watched(model, WholeAttention) as seen:
        body.window_outputs(F.pad(x, (0, 0, body.window - len(x), 0))[None])
        return tuple(
            Attended(layer, exact(module.weights(y[None])[0]), first, body.at)
            for layer, (module, y) in enumerate(seen)
        )
