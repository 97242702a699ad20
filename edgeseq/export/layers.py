"""Linear maps and norms as nodes; their weights keep the names that the modules have."""

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from edgeseq.graph.build import GraphBuilder

if TYPE_CHECKING:
    from torch import Tensor, nn


def linear(
    graph: GraphBuilder,
    x: str,
    layer: "nn.Linear",
    name: str,
    scale: "float | NDArray[np.float64]" = 1.0,
) -> str:
    """Map `(N, T, I)` to `(N, T, O)`, its weights times `scale` `(O,)`.

    The bias is `(1, 1, O)`: with `(O,)` ONNX Runtime fuses a Gemm and reshapes around it.
    """
    weight = layer.weight.detach().double().numpy().T * scale
    y = graph.op("MatMul", x, graph.constant(weight, name))
    bias = cast("Tensor | None", layer.bias)
    if bias is None:
        return y
    values = bias.detach().double().numpy() * scale
    return graph.op("Add", y, graph.constant(values[None, None], f"{name}_bias"))


def query_scale(width: int, heads: int) -> NDArray[np.float64]:
    """Return the factors `(3 D,)` of a joint map's outputs, 1/sqrt(K) for queries, else 1.

    In the weights they are a node less a block.
    """
    scale = np.ones(3 * width)
    scale[:width] = (width / heads) ** -0.5
    return scale


def norm(graph: GraphBuilder, x: str, layer: "nn.LayerNorm", name: str, scale: float = 1.0) -> str:
    """Normalise the last axis of `x`, and multiply by `scale`."""
    parts = [
        graph.constant(part.detach().double().numpy() * scale, f"{name}.{kind}")
        for kind, part in (("weight", layer.weight), ("bias", layer.bias))
    ]
    return graph.op("LayerNormalization", x, *parts, axis=-1, epsilon=layer.eps)
