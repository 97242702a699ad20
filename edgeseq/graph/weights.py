"""Which nodes of an ONNX graph multiply by constant weights, and in which arithmetic."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeseq.extras import require

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# Inputs that may hold weights, by operator. Biases, scales and lookup tables multiply nothing.
_FLOAT = {
    "Attention": (1,),  # com.microsoft: the joint projection; in ONNX's own, 1 is an activation
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Einsum": (0, 1),
    "FusedConv": (1,),
    "FusedGemm": (0, 1),
    "FusedMatMul": (0, 1),
    "GRU": (1, 2),
    "Gemm": (0, 1),
    "LSTM": (1, 2),
    "MatMul": (0, 1),
    "NhwcFusedConv": (1,),
    "RNN": (1, 2),
}
_INT8 = {
    "ConvInteger": (1,),
    "DynamicQuantizeLSTM": (1, 2),
    "DynamicQuantizeMatMul": (1,),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "QAttention": (1,),
    "QGemm": (0, 3),
    "QLinearConv": (3,),
    "QLinearMatMul": (0, 3),
}
INTEGER_ACCURACY = 4
"""The `accuracy_level` at which `MatMulNBits` multiplies integers; below it unpacks to floats."""


@dataclass(frozen=True)
class Constant:
    """A value that does not depend on the graph's inputs."""

    elements: int
    bits: int
    """Bits an element is stored in."""


@dataclass(frozen=True)
class WeightUse:
    """One node that multiplies by constant weights."""

    node: str
    operator: str
    elements: int
    """Weights that it multiplies by."""
    stored: int
    """Of these, how many the file holds in 8 bits or fewer."""
    int8: bool
    """Whether it multiplies integers."""


def weight_uses(model: "ModelProto") -> tuple[WeightUse, ...]:
    """Return every node that multiplies by constant weights, subgraphs included, in order."""
    return tuple(_uses(model.graph, {}, _sizes(model)))


def operators(model: "ModelProto") -> dict[str, int]:
    """Count nodes by operator, subgraphs included, the most frequent first."""
    return dict(Counter(node.op_type for node in all_nodes(model.graph)).most_common())


def all_nodes(graph: "GraphProto") -> "Iterator[NodeProto]":
    """Yield the nodes of `graph` and of the graphs in its nodes."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


def subgraphs(node: "NodeProto") -> "Iterator[GraphProto]":
    """Yield the graphs in a node's attributes: the branches of If, the body of Loop and Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def bits(dtype: int) -> int:
    """Return how many bits an element of an ONNX data type takes."""
    onnx = require("onnx")
    name = onnx.TensorProto.DataType.Name(dtype)
    if name.endswith(("INT4", "FLOAT4E2M1")):
        return 4
    if name.endswith("INT2"):
        return 2
    if name == "STRING":
        return 0
    return 8 * int(onnx.helper.tensor_dtype_to_np_dtype(dtype).itemsize)


def _uses(
    graph: "GraphProto", outer: Mapping[str, Constant], sizes: Mapping[str, int]
) -> Iterator[WeightUse]:
    constants = {**outer, **{item.name: _stored(item) for item in graph.initializer}}
    for node in graph.node:
        derived = _derived(node, constants, sizes)
        if derived is not None:  # ONNX Runtime computes it when it loads the file
            constants |= dict.fromkeys(node.output, derived)
            continue
        use = _use(node, constants)
        if use is not None:
            yield use
        for inner in subgraphs(node):
            yield from _uses(inner, constants, sizes)


def _use(node: "NodeProto", constants: Mapping[str, Constant]) -> WeightUse | None:
    name = node.name or node.output[0]
    if node.op_type == "MatMulNBits":
        attributes = {item.name: item.i for item in node.attribute}
        elements = attributes["K"] * attributes["N"]
        integer = attributes.get("accuracy_level") == INTEGER_ACCURACY
        return WeightUse(name, node.op_type, elements, elements, integer)
    integer = node.op_type in _INT8
    places = _INT8.get(node.op_type) or _FLOAT.get(node.op_type, ())
    inputs = [node.input[place] for place in places if place < len(node.input)]
    weights = [constants[item] for item in inputs if item in constants]
    if not weights:
        return None
    stored = sum(weight.elements for weight in weights if weight.bits <= 8)
    elements = sum(weight.elements for weight in weights)
    return WeightUse(name, node.op_type, elements, stored, integer)


def _derived(
    node: "NodeProto", constants: Mapping[str, Constant], sizes: Mapping[str, int]
) -> Constant | None:
    """Return what a node makes of constants alone, stored as its largest input is; else none."""
    if node.op_type == "Constant":
        tensors = [item.t for item in node.attribute if item.HasField("t")]
        return _stored(tensors[0]) if tensors else Constant(1, 32)
    inputs = [item for item in node.input if item]
    if not inputs or any(subgraphs(node)) or any(item not in constants for item in inputs):
        return None
    largest = max((constants[item] for item in inputs), key=lambda constant: constant.elements)
    return Constant(sizes.get(node.output[0], largest.elements), largest.bits)


def _stored(tensor: "TensorProto") -> Constant:
    return Constant(math.prod(tensor.dims), bits(tensor.data_type))


def _sizes(model: "ModelProto") -> dict[str, int]:
    """Return the number of elements of every value in the main graph whose shape is inferred."""
    onnx = require("onnx")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    except (onnx.shape_inference.InferenceError, ValueError):  # ValueError: more than 2 GB
        inferred = model.graph.value_info
    return {
        value.name: math.prod(item.dim_value for item in value.type.tensor_type.shape.dim)
        for value in inferred
        if value.type.tensor_type.HasField("shape")
        and all(item.HasField("dim_value") for item in value.type.tensor_type.shape.dim)
    }
