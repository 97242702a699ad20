"""Weights in blocks of a column that share a scale, as ONNX Runtime's `MatMulNBits` holds them.

The numbers alone, without a graph: what trains weights for such a file rounds them by this, too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST = 16
"""The shortest block that the operator takes."""
CLIPS = np.linspace(0.98, 0.5, 25)
"""Shares of a block's range that are tried, too: to cut what lies outside errs less inside."""


@dataclass(frozen=True)
class Blocks:
    """A weight `(K, N)` as integers: `(values - zero point) * scale`, block by block."""

    values: NDArray[np.uint8]
    """`(K, N)`, 0 to 2^bits - 1."""
    scales: NDArray[np.float32]
    """`(blocks, N)`, above 0."""
    zero_points: NDArray[np.uint8]
    """`(blocks, N)`: the integer that stands for 0."""
    bits: int
    size: int
    """Rows in a block; the last one may have fewer."""

    def dequantized(self) -> NDArray[np.float32]:
        """Return the weight `(K, N)` that the integers stand for."""
        rows = np.arange(len(self.values)) // self.size
        steps = self.values.astype(np.float32) - self.zero_points[rows]
        weight: NDArray[np.float32] = steps * self.scales[rows]
        return weight


def block_size(rows: int, block: int) -> int:
    """Return `block`, or less where a weight has too few rows to fill half of it."""
    return min(block, max(SMALLEST, 1 << (rows - 1).bit_length()))


def quantize_blocks(weight: NDArray[np.floating], bits: int, block: int) -> Blocks:
    """Round `weight` `(K, N)` to `bits` bits, each block in the range with the least squared error.

    A range spans the block's values and zero, which is exact. Where that is lopsided so is the
    zero point: of weights that training made this errs a fifth less than ranges around zero, and a
    clipped range another twentieth, in 4 bits.
    """
    rows, size = len(weight), block_size(len(weight), block)
    padded = np.pad(weight.astype(np.float64), ((0, -rows % size), (0, 0)))
    padded = padded.reshape(-1, size, weight.shape[1])  # (blocks, size, N)
    scales, zero_points, values = _rounded(padded, 1.0, 2**bits - 1)
    least = _errors(padded, scales, zero_points, values)
    for clip in CLIPS:
        tried = _rounded(padded, float(clip), 2**bits - 1)
        error = _errors(padded, *tried)
        better, least = error < least, np.minimum(error, least)
        scales = np.where(better, tried[0], scales)
        zero_points = np.where(better, tried[1], zero_points)
        values = np.where(better, tried[2], values)
    return Blocks(
        values=values.reshape(-1, weight.shape[1])[:rows].astype(np.uint8),
        scales=scales[:, 0],
        zero_points=zero_points[:, 0].astype(np.uint8),
        bits=bits,
        size=size,
    )


def _rounded(
    blocks: NDArray[np.float64], clip: float, top: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Return scales and zero points `(blocks, 1, N)` of clipped ranges, and the rounded values."""
    low = clip * np.minimum(blocks.min(axis=1, keepdims=True), 0)
    high = clip * np.maximum(blocks.max(axis=1, keepdims=True), 0)
    scales = ((high - low) / top).astype(np.float32)
    scales[scales < np.finfo(np.float32).tiny] = 1  # nothing but zeros: any scale is exact
    zero_points = np.clip(np.rint(-low / scales), 0, top)
    return scales, zero_points, np.clip(np.rint(blocks / scales) + zero_points, 0, top)


def _errors(
    blocks: NDArray[np.float64],
    scales: NDArray[np.float32],
    zero_points: NDArray[np.float64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the squared error of every block, `(blocks, 1, N)`."""
    errors: NDArray[np.float64] = np.square((values - zero_points) * scales - blocks).sum(
        axis=1, keepdims=True
    )
    return errors
