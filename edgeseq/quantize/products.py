"""The weights of a graph by name, and every product `x @ W` that multiplies by one."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.graph.weights import subgraphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

WEIGHTS = {"Gemm": (1,), "GRU": (1, 2), "LSTM": (1, 2), "MatMul": (1,)}
"""Operators that can be quantized, and their inputs that are weights."""


@dataclass(frozen=True)
class Product:
    """One `MatMul` whose right side is a weight."""

    node: "NodeProto"
    """In the model itself: what is changed here is changed there."""
    graph: "GraphProto"
    """That holds the node: the model's, the body of a loop or a branch."""
    weight: str
    """Name of the weight."""
    values: NDArray[np.float32]
    """The weight `(K, N)`."""
    x: str
    """Name of the left side, in `graph`."""
    seen: str
    """The value that is `x` when a call has one frame: of the main graph, of a branch in it, or
    what a `Scan` in it makes of a frame; empty: there is none."""


def products(model: "ModelProto") -> tuple[Product, ...]:
    """Return the products with weights of `model`, bodies and branches included, in order."""
    return tuple(_products(model.graph, {}, _main))


def weight_names(model: "ModelProto") -> tuple[str, ...]:
    """Return the weights of `model` that can be quantized, by name, in order."""
    return tuple(dict.fromkeys(_names(model.graph, frozenset())))


def weight_sizes(model: "ModelProto") -> dict[str, int]:
    """Return how many values each weight has that can be quantized, by name, in order."""
    sizes = {item.name: math.prod(item.dims) for item in model.graph.initializer}
    inside = {product.weight: product.values.size for product in products(model)}
    return {name: inside[name] if name in inside else sizes[name] for name in weight_names(model)}


def weights_of(node: "NodeProto") -> tuple[str, ...]:
    """Return the names of the inputs of `node` where weights may be."""
    places = WEIGHTS.get(node.op_type, ()) if not node.domain else ()
    return tuple(node.input[place] for place in places if place < len(node.input))


def _names(graph: "GraphProto", outer: frozenset[str]) -> Iterator[str]:
    constants = outer | {item.name for item in graph.initializer}
    for node in graph.node:
        yield from (name for name in weights_of(node) if name in constants)
        for body in subgraphs(node):
            yield from _names(body, constants)


def _products(
    graph: "GraphProto", outer: "Mapping[str, TensorProto]", shown: Callable[[str], str]
) -> Iterator[Product]:
    """Yield the products of `graph`; `shown` says which value outside of loops one of it is."""
    constants = {**outer, **{item.name: item for item in graph.initializer}}
    for node in graph.node:
        for weight in weights_of(node) if node.op_type == "MatMul" else ():
            if weight in constants and _is_matrix(constants[weight]):
                values = require("onnx").numpy_helper.to_array(constants[weight])
                x = str(node.input[0])
                yield Product(node, graph, weight, values, x, shown(x))
        for body in subgraphs(node):
            yield from _products(body, constants, _shown(node, body, shown))


def _shown(
    node: "NodeProto", body: "GraphProto", outer: Callable[[str], str]
) -> Callable[[str], str]:
    """Say what the values of a `Scan`'s body are in its first round; others of loops are hidden.

    Of one frame there is one round: states are what the loop starts from, and the frame is the
    sequence. What a loop of the main graph makes can be had from it, and so can what branches make,
    see `calibrate.watch`.
    """
    if node.op_type == "If":
        return lambda name: outer(name)
    if node.op_type != "Scan":
        return lambda _: ""
    inside = {item.name: name for item, name in zip(body.input, node.input, strict=False)}
    if outer is _main:
        made = {name: name for part in body.node for name in part.output}
        return lambda name: (made | inside).get(name, "")
    return lambda name: outer(inside[name]) if name in inside else ""


def _main(name: str) -> str:
    """Say that what is in the main graph is there."""
    return name


def _is_matrix(tensor: "TensorProto") -> bool:
    return len(tensor.dims) == 2 and tensor.data_type == require("onnx").TensorProto.FLOAT
