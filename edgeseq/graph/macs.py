"""How many multiply-accumulates one frame costs, and how many of them integer operators do.

Shapes come from running the graph once on zeros, every open dimension 1: that knows contrib
operators, which ONNX's shape inference does not. Attention counts as if its ring were full: its
operators multiply empty slots, too. What only one branch of an `If` multiplies is done now and
then, such as what a stream does once: no frame is charged for it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeseq.extras import require
from edgeseq.graph.build import read_contract
from edgeseq.graph.edit import copied
from edgeseq.graph.session import quiet_session
from edgeseq.graph.weights import (
    FLOAT,
    INTEGER,
    all_nodes,
    is_integer,
    name_of,
    subgraphs,
    weight_uses,
)

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Rule = Callable[["NodeProto", Shapes, int | None], int]
"""A node, shapes, its constant weights → its multiply-accumulates."""

_OPERATORS = {*FLOAT, *INTEGER, "GroupQueryAttention", "MatMulNBits", "MultiHeadAttention"}
_RECURRENT = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
_ATTENTION = "Attention"
_SELDOM = "now and then"


@dataclass(frozen=True)
class Multiplication:
    """One node that multiplies matrices."""

    node: str
    operator: str
    macs: int
    """Multiply-accumulates of a call with as few frames and streams as the graph takes."""
    integer: bool
    weights: bool
    """Whether one side is constant; else both are activations."""
    values: int = 0
    """Values that the node returns in that call; 0 inside a loop or a branch."""


def multiplications(model: "ModelProto") -> tuple[Multiplication, ...] | None:
    """Return every product of a graph that ONNX Runtime can run; none where one is not known.

    Not known: a graph that does not run on zeros, products in both branches of an `If`, or in a
    loop other than a `Scan`, where they run once a frame, and operators that no rule here counts.
    """
    shapes = _shapes(model)
    weights = {use.node: use.elements for use in weight_uses(model)}
    rounds = _rounds(model)
    found: list[Multiplication] = []
    for node, inside in _nodes(model.graph):
        if node.op_type not in _OPERATORS:
            continue
        name = name_of(node)
        macs = _macs(node, inside, shapes, weights.get(name))
        if macs is None:
            return None
        macs *= rounds if inside == "Scan" else 1
        integer = is_integer(node)
        values = 0 if inside else _returned(node, shapes or {})
        found.append(Multiplication(name, node.op_type, macs, integer, name in weights, values))
    return tuple(found)


def _rounds(model: "ModelProto") -> int:
    """Return the frames of all streams in a call, where a contract names them and both are fixed.

    A loop over them uses every weight once for each.
    """
    contract = read_contract(model, "the graph")
    if contract is None or contract.streams is None or contract.chunk_max is None:
        return 1
    return contract.streams * contract.chunk_max


def _returned(node: "NodeProto", shapes: Shapes) -> int:
    return sum(math.prod(shapes[name]) for name in node.output if name in shapes)


def _nodes(graph: "GraphProto", inside: str = "") -> "list[tuple[NodeProto, str]]":
    """Return nodes and the operator, if any, whose body they are in."""
    found = []
    for node in graph.node:
        found.append((node, inside))
        for body in subgraphs(node):
            found += _nodes(body, _within(node) if inside in ("", "Scan") else inside)
    return found


def _within(node: "NodeProto") -> str:
    """Return what its body is in: the operator, or that it runs now and then."""
    multiplying = [
        body for body in subgraphs(node) if any(n.op_type in _OPERATORS for n in all_nodes(body))
    ]
    return _SELDOM if node.op_type == "If" and len(multiplying) == 1 else node.op_type


def _macs(node: "NodeProto", inside: str, shapes: Shapes | None, weights: int | None) -> int | None:
    if inside == _SELDOM:
        return 0
    if inside:  # a round of a Scan is one frame of one stream: every weight is used once
        return weights if inside == "Scan" else None
    if shapes is None:
        return None
    try:
        return _rule(node)(node, shapes, weights)
    except (KeyError, IndexError):  # a shape that the runtime did not show, or an unknown operator
        return None


def _rule(node: "NodeProto") -> Rule:
    if node.op_type in _RECURRENT:
        return _recurrent
    if "Conv" in node.op_type:
        return _convolution
    if node.op_type == _ATTENTION and not node.domain:
        return _attention
    return _RULES[node.op_type]


def _recurrent(node: "NodeProto", shapes: Shapes, weights: int | None) -> int:
    return _constant(weights) * math.prod(shapes[node.input[0]][:2])


def _constant(weights: int | None) -> int:
    """Refuse weights that are activations: how many there are is not known."""
    if weights is None:
        raise KeyError("weights")
    return weights


def _product(node: "NodeProto", shapes: Shapes, _: int | None) -> int:
    left = shapes[node.input[0]]
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return math.prod(shapes[node.output[0]]) * left[-2 if transposed else -1]


def _convolution(node: "NodeProto", shapes: Shapes, weights: int | None) -> int:
    """Every output (of a transposed one: input) of a channel meets the channel's weights."""
    transposed = node.op_type == "ConvTranspose"
    values = shapes[node.input[0] if transposed else node.output[0]]
    return math.prod(values) * _constant(weights) // values[1]


def _attention(node: "NodeProto", shapes: Shapes, _: int | None) -> int:
    """Queries by keys, and the result by values: opset 23's, of 3 or of 4 dimensions."""
    queries, keys, values = (shapes[name] for name in node.input[:3])
    length = keys[-2]
    if len(node.input) > 4 and node.input[4]:
        length += shapes[node.input[4]][-2]
    if len(queries) == 4:
        return math.prod(queries[:3]) * length * (keys[-1] + values[-1])
    heads = {item.name: int(item.i) for item in node.attribute}
    share = heads["q_num_heads"] // heads["kv_num_heads"]
    return math.prod(queries[:2]) * length * (queries[-1] + share * values[-1])


_RULES: dict[str, Rule] = dict.fromkeys(
    (
        "MatMul", "Gemm", "FusedMatMul", "FusedGemm", "MatMulInteger", "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul", "MatMulNBits", "QLinearMatMul", "QGemm",
    ),
    _product,
)  # fmt: skip


def _shapes(model: "ModelProto") -> Shapes | None:
    """Return the shape of what products read and write in the main graph; none if it cannot run."""
    onnx, ort = require("onnx"), require("onnxruntime")
    shown = copied(model)
    graph = shown.graph
    constants = {item.name for item in graph.initializer}
    known = constants | {item.name for item in (*graph.input, *graph.output)}
    wanted = {
        name
        for node in graph.node
        if node.op_type in _OPERATORS
        for name in (*node.input, *node.output)
        if name
    }
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted - known))
    as_it_is = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = quiet_session(shown.SerializeToString(), graph_optimization_level=as_it_is)
        feeds = {item.name: _zeros(item) for item in session.get_inputs()}
        names = [item.name for item in session.get_outputs()]
        values = dict(zip(names, session.run(names, feeds), strict=True))
    except Exception:  # onnxruntime raises classes of its own per status code
        return None
    held = {item.name: tuple(item.dims) for item in graph.initializer}
    return held | {name: np.shape(value) for name, value in (feeds | values).items()}


def _zeros(item: Any) -> np.ndarray:  # noqa: ANN401 - onnxruntime is untyped here
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in item.shape]
    return np.zeros(shape, dtype)
