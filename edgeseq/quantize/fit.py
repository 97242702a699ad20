"""Scales of int8 weights as fine as 16 bits allow, instead of 7 bits for all.

x86 CPUs without VNNI add the products of two neighbours with bytes in 16 bits. Seven bits fit
whatever the weights are; but large weights are rare, and their neighbours seldom large and of the
same sign as well. Most scales can therefore be a third finer, and no sum still leaves 16 bits.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.graph.portable import HIGHEST_SUM, sums_of_pairs
from edgeseq.graph.weights import all_graphs

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_HIGHEST = 127
_WIDEN = 1.001
"""By how much a scale grows while rounding lifts a pair above what fits."""


def fit(
    weights: NDArray[np.float32], *, per_channel: bool = True
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round weights `(..., K, N)` to int8 of which no pair along K saturates; return the scales.

    Args:
        weights: constant factor of a product, its columns last.
        per_channel: one scale a column, `(..., N)`; else one for all, of the same shape.
    """
    wide = weights.astype(np.float64)
    largest, pair = np.abs(wide).max(axis=-2), sums_of_pairs(wide).max(axis=-2)
    scale = np.maximum(largest / _HIGHEST, pair / HIGHEST_SUM)
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    while True:
        if not per_channel:
            scale = np.full_like(scale, scale.max())
        narrow = scale.astype(np.float32)
        rounded = np.rint(wide / narrow[..., None, :]).clip(-_HIGHEST, _HIGHEST)
        too_large = sums_of_pairs(rounded).max(axis=-2) > HIGHEST_SUM
        if not too_large.any():
            return rounded.astype(np.int8), narrow
        scale = np.where(too_large, scale * _WIDEN, scale)


def refit(quantized: "ModelProto", floats: "ModelProto", wanted: Collection[str]) -> None:
    """Put the weights `wanted` of `floats` into `quantized` anew, with scales that `fit` finds.

    The weights are those that ONNX Runtime's tool has put there, under its names; what it left in
    floats, or turned round, stays as it is. An operator LSTM holds `(1, 4 H, K)`, its int8 twin
    `(1, K, 4 H)`.
    """
    to_array, from_array = (getattr(require("onnx").numpy_helper, f"{way}_array")
                            for way in ("to", "from"))  # fmt: skip
    held = {item.name: item for item in _initializers(quantized)}
    for original in _initializers(floats):
        name = original.name
        if name not in wanted or f"{name}_quantized" not in held:
            continue
        values = to_array(original)
        columns_last = values.swapaxes(-1, -2) if values.ndim == 3 else values
        integers, scale = held[f"{name}_quantized"], held[f"{name}_scale"]
        shape = tuple(scale.dims)
        rounded, scales = fit(columns_last, per_channel=int(np.prod(shape)) > 1)
        integers.CopyFrom(from_array(rounded, integers.name))
        few = scales if scales.size == np.prod(shape) else scales.flat[:1]
        scale.CopyFrom(from_array(few.reshape(shape), scale.name))


def _initializers(model: "ModelProto") -> "Iterator[TensorProto]":
    """Yield the constants of a model, those of bodies included."""
    for graph in all_graphs(model.graph):
        yield from graph.initializer
