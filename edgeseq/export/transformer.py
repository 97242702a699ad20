"""Transformer weights → ONNX graph, its attention window a ring of keys and values (`ring`)."""

from typing import TYPE_CHECKING

import numpy as np

from edgeseq.errors import UsageError
from edgeseq.export.graph import NEWEST, PORTABLE, Built, Size, denormalised_head, normalised_frames
from edgeseq.export.ring import AnyChunk, OneFrame
from edgeseq.graph.build import GraphBuilder

if TYPE_CHECKING:
    from edgeseq.models import SequenceModel
    from edgeseq.models.transformer import TransformerSpec


def build_chunk(
    model: "SequenceModel", spec: "TransformerSpec", size: Size, *, stateful: bool
) -> Built:
    """Build the graph for chunks of any length; `stateful` or each call from an empty window."""
    graph = GraphBuilder()
    x = normalised_frames(graph, model, size)
    window = AnyChunk(graph, spec, size, stateful=stateful)
    return Built(graph, _body(graph, model, spec, x, window), tuple(window.states), PORTABLE)


def build_step(model: "SequenceModel", spec: "TransformerSpec", size: Size) -> Built:
    """Build the graph for exactly one frame a call."""
    if size.frames != 1:
        raise UsageError(f"the step graph takes 1 frame a call, not {size.frames}")
    graph = GraphBuilder()
    x = normalised_frames(graph, model, size)
    window = OneFrame(graph, spec, size)
    return Built(graph, _body(graph, model, spec, x, window), tuple(window.states), NEWEST)


def _body(
    graph: GraphBuilder,
    model: "SequenceModel",
    spec: "TransformerSpec",
    x: str,
    window: "AnyChunk | OneFrame",
) -> str:
    """Write embedding, blocks and head; `window` is how a block attends."""
    weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def linear(x: str, name: str, scale: float | np.ndarray = 1.0) -> str:
        matrix = weights[f"body.{name}.weight"].T * scale
        return graph.op("MatMul", x, graph.constant(matrix, name))

    def norm(x: str, name: str) -> str:
        parts = [
            graph.constant(weights[f"body.{name}.{p}"], f"{name}.{p}") for p in ("weight", "bias")
        ]
        return graph.op("LayerNormalization", x, *parts, axis=-1, epsilon=1e-5)

    bias = graph.constant(weights["body.embed.bias"][None, None], "embed_bias")
    x = graph.op("Add", linear(x, "embed"), bias)  # (N, T, D)
    # The attention scale 1/sqrt(K) lies in the query weights: one node less a block.
    scale = np.ones(3 * spec.width)
    scale[: spec.width] = (spec.width / spec.heads) ** -0.5
    for layer in range(spec.layers):
        block = f"blocks.{layer}"
        qkv = linear(norm(x, f"{block}.norm1"), f"{block}.attention.qkv", scale)  # (N, T, 3 D)
        y = window.attend(layer, qkv)  # (N, T, D)
        x = graph.op("Add", x, linear(y, f"{block}.attention.out"))
        y = graph.op("Relu", linear(norm(x, f"{block}.norm2"), f"{block}.up"))  # (N, T, M)
        x = graph.op("Add", x, linear(y, f"{block}.down"))
    return denormalised_head(
        graph, model, norm(x, "norm"), model.state_dict()["body.head.weight"], None
    )
