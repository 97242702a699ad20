"""Fake quantization: floats rounded to what an int8 or int4 file holds, and still floats.

Rounding has no slope, so gradients pass it as if it were not there: the straight-through estimator
(Bengio et al. 2013, arXiv:1308.3432), with which Jacob et al. 2018, arXiv:1712.05877, train.

Weights are `(M, K)` as in PyTorch, frames `(..., K)`; a product sums over K. A row of a weight here
is a column of ONNX's matrix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseq.errors import UsageError
from edgeseq.graph.blocks import quantize_blocks
from edgeseq.graph.portable import HIGHEST_SUM, sums_of_pairs
from edgeseq.recipes import Quantization

Round = Callable[[Tensor], Tensor]


def exact(x: Tensor) -> Tensor:
    """Round nothing."""
    return x


@dataclass(frozen=True)
class Rounding:
    """How one product rounds its two sides."""

    weight: Round
    frames: Round
    lookup: Round = exact
    """Of a weight whose rows are looked up, too: it is stored once, or its floats beside it."""
    at_once: Round | None = None
    """Of frames `(N, S, K)` of which one call multiplies all S; none: as `frames`."""


def rounding_of(how: Quantization, weight: str) -> Rounding:
    """Return how the product with `weight` rounds in a file that is quantized as `how` says."""
    scheme = how.scheme(weight)
    if scheme == "dynamic" and how.weights == "s8":
        weights = partial(_dynamic(how), per_channel=how.per_channel)
        return Rounding(weights, unsigned, weights, unsigned_at_once)
    if scheme in ("weights8", "weights4"):
        bits = 8 if scheme == "weights8" else 4
        weights = partial(blocks, bits=bits, size=how.block)
        return Rounding(weights, partial(signed, size=how.block))
    if scheme == "fp32" and how.method != "half":
        return Rounding(exact, exact)
    what = "fp16" if how.method == "half" else f"{how.weights} {scheme}"
    raise UsageError(
        f"weights cannot be trained for {what} arithmetic ({weight}): only for dynamic int8 with "
        "s8 weights, and for 8 or 4 bits in blocks. Try: --recipe int8-dynamic"
    )


def _dynamic(how: Quantization) -> Callable[..., Tensor]:
    if how.fit_pairs:
        return pairs
    return partial(columns, largest=64 if how.reduce_range else 127)


def columns(weight: Tensor, *, largest: int, per_channel: bool) -> Tensor:
    """Round to multiples, -`largest` to `largest`, of one scale a row, or of one for all.

    As ONNX Runtime's `quantize_dynamic` does with signed weights.
    """
    values = weight.detach()
    top = values.abs().amax(-1, keepdim=True) if per_channel else values.abs().amax()
    scale = _not_zero(top / largest)
    return _through(weight, (values / scale).round() * scale)


def pairs(weight: Tensor, *, per_channel: bool) -> Tensor:
    """Round to 8 bits with the finest scales at which no two neighbours along K can saturate.

    As `edgeseq.quantize.fit` does; a test holds the two together.
    """
    wide = weight.detach().cpu().double().numpy().T  # (K, M)
    scale = np.maximum(np.abs(wide).max(0) / 127, sums_of_pairs(wide).max(0) / HIGHEST_SUM)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    while True:
        scale = scale if per_channel else np.full_like(scale, scale.max())
        level = np.rint(wide / scale.astype(np.float32)).clip(-127, 127)
        too_large = sums_of_pairs(level).max(0) > HIGHEST_SUM
        if not too_large.any():
            rounded = level.astype(np.float32) * scale.astype(np.float32)
            return _through(weight, torch.from_numpy(rounded.T).to(weight))
        scale = np.where(too_large, scale * 1.001, scale)  # rounding has lifted a pair


def unsigned(frames: Tensor) -> Tensor:
    """Round each frame to 256 levels that span its values and zero.

    As ONNX's `DynamicQuantizeLinear` does, fed one frame of one stream a call.
    """
    values = frames.detach()
    lowest, highest = values.aminmax(dim=-1, keepdim=True)
    low = lowest.clamp(max=0)
    scale = _not_zero((highest.clamp(min=0) - low) / 255)
    zero = (-low / scale).round()
    level = ((values / scale).round() + zero).clamp(0, 255)
    return _through(frames, (level - zero) * scale)


def unsigned_at_once(frames: Tensor) -> Tensor:
    """Round as `unsigned` does what one call is fed of each stream `(N, S, K)`, by one scale."""
    return unsigned(frames.flatten(1)).view_as(frames)


def blocks(weight: Tensor, *, bits: int, size: int) -> Tensor:
    """Round blocks of `size` along K to `bits` bits, each with a scale and a zero point of its own.

    By the very function that writes files for ONNX Runtime's `MatMulNBits`.
    """
    found = quantize_blocks(weight.detach().cpu().numpy().T, bits, size)
    return _through(weight, torch.from_numpy(found.dequantized().T).to(weight))


def signed(frames: Tensor, *, size: int) -> Tensor:
    """Round blocks of `size` along K to -127 to 127 times one scale a block.

    As `MatMulNBits` does at accuracy level 4 on x86; other kernels take other scales.
    """
    values = _in_blocks(frames.detach(), size)
    scale = _not_zero(values.abs().amax(-1, keepdim=True) / 127)
    return _through(frames, _joined((values / scale).round() * scale, frames))


def _in_blocks(x: Tensor, size: int) -> Tensor:
    """Return `(..., K)` as `(..., blocks, size)`, filled up with zeros; K itself may be a block."""
    size = min(size, x.shape[-1])
    filled = F.pad(x, (0, -x.shape[-1] % size))
    return filled.reshape(*x.shape[:-1], -1, size)


def _joined(in_blocks: Tensor, like: Tensor) -> Tensor:
    return in_blocks.flatten(-2)[..., : like.shape[-1]]


def _not_zero(scale: Tensor) -> Tensor:
    """Return 1 where all values are zero: any scale represents them."""
    return torch.where(scale < torch.finfo(scale.dtype).tiny, torch.ones_like(scale), scale)


class _Through(torch.autograd.Function):
    """Forwards the rounded, backwards as if it were the exact."""

    @staticmethod
    def forward(ctx: Any, exact: Tensor, rounded: Tensor) -> Tensor:  # noqa: ANN401
        return rounded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradient, None


def _through(exact: Tensor, rounded: Tensor) -> Tensor:
    result: Tensor = _Through.apply(exact, rounded)  # type: ignore[no-untyped-call]
    return result
