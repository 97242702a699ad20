"""ONNX's `LSTM` and `GRU` operators → products and gates, where a scheme needs products.

ONNX Runtime has no int8 GRU, and its int8 LSTM knows one scheme only. A layer becomes products, as
`edgeseq.graph.gates` writes them, and each weight keeps its name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeseq.extras import require
from edgeseq.graph.build import GraphBuilder
from edgeseq.graph.edit import copied, free_name
from edgeseq.graph.gates import GRU, LSTM, Cell, Layer, Weight
from edgeseq.graph.weights import all_nodes
from edgeseq.quantize.products import weights_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_OLDEST_OPSET = 13
"""Since when `Split` and `Unsqueeze` take sizes and axes as inputs."""


@dataclass(frozen=True)
class _Operator:
    """What of an operator is understood."""

    cell: Cell
    supported: dict[str, tuple[object, ...]]
    """Values of attributes with which it is taken apart; `clip` and unknown ones have none."""
    required: tuple[str, ...] = ()
    """Attributes whose default is not supported."""


_ANY = {"direction": (b"forward",), "layout": (0,)}
_OPERATORS = {
    "LSTM": _Operator(
        LSTM,
        {**_ANY, "activations": ([b"Sigmoid", b"Tanh", b"Tanh"],), "input_forget": (0,)},
    ),
    "GRU": _Operator(
        GRU,
        {**_ANY, "activations": ([b"Sigmoid", b"Tanh"],), "linear_before_reset": (1,)},
        required=("linear_before_reset",),
    ),
}
_LENGTHS, _PEEPHOLES = 4, 7
"""Inputs that are not understood: lengths of single streams, weights from the cell to its gates."""


def take_apart(model: "ModelProto", weights: Collection[str] | None = None) -> "ModelProto":
    """Return a copy of `model` with its LSTMs and GRUs as products and gates.

    Some stay operators, and in fp32, as the census will say: two directions, a GRU's reset before
    the product, other activations, clipping, lengths, peepholes, weights that are no initializers.

    Args:
        model: an fp32 graph; returned as it is if nothing in it is to be taken apart.
        weights: only the operators that hold one of these; none: all.
    """
    onnx = require("onnx")
    opset = next((item.version for item in model.opset_import if not item.domain), 0)
    constants = {item.name: item for item in model.graph.initializer}
    wanted = [
        opset >= _OLDEST_OPSET
        and _can_be_taken_apart(node, constants)
        and (weights is None or not set(weights).isdisjoint(weights_of(node)))
        for node in model.graph.node
    ]
    if not any(wanted):
        return model
    result = copied(model)
    graph = result.graph
    taken = _without(graph, wanted)
    single = _one_frame_long(model)
    for index, (node, apart) in enumerate(zip(model.graph.node, wanted, strict=True)):
        if not apart:
            graph.node.append(node)
            continue
        w, r, b = (onnx.numpy_helper.to_array(constants[name])[0] for name in node.input[1:4])
        w_name, r_name = (free_name(name, taken) for name in node.input[1:3])
        builder = GraphBuilder(f"{node.name or node.op_type}_{index}_")
        cell = _OPERATORS[node.op_type].cell
        layer = Layer(cell, b, Weight(w_name, w.T), Weight(r_name, r.T))
        _write(builder, node, layer, one_frame=node.input[0] in single)
        part = builder.graph("")
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
    return result


def _write(graph: GraphBuilder, node: "NodeProto", layer: Layer, *, one_frame: bool) -> None:
    """Write what `node` does, to the same outputs."""
    count = layer.cell.states
    every, *last = [*node.output, "", ""][: 1 + count]
    states = [*node.input, *[""] * _PEEPHOLES][5 : 5 + count]
    layer.write(graph, node.input[0], states, every, last, one_frame=one_frame)


def _without(graph: "GraphProto", apart: Sequence[bool]) -> set[str]:
    """Remove all nodes, and the constants that only those `apart` read; return the names left."""
    gone = {name for node, go in zip(graph.node, apart, strict=True) if go for name in node.input}
    staying = [node for node, go in zip(graph.node, apart, strict=True) if not go]
    del graph.node[:]
    graph.node.extend(staying)
    used = {name for node in all_nodes(graph) for name in (*node.input, *node.output)}
    used |= {item.name for item in (*graph.input, *graph.output)}
    kept = [item for item in graph.initializer if item.name in used or item.name not in gone]
    del graph.node[:], graph.initializer[:]
    graph.initializer.extend(kept)
    return used


def _can_be_taken_apart(node: "NodeProto", constants: Mapping[str, Any]) -> bool:
    operator = _OPERATORS.get(node.op_type)
    if operator is None or node.domain:
        return False
    read = require("onnx").helper.get_attribute_value
    found = {item.name: read(item) for item in node.attribute if item.name != "hidden_size"}
    inputs = [*node.input, *[""] * (1 + _PEEPHOLES)]
    return (
        all(name in found for name in operator.required)
        and all(value in operator.supported.get(name, ()) for name, value in found.items())
        and all(name in constants for name in inputs[1:4])
        and not inputs[_LENGTHS]
        and not inputs[_PEEPHOLES]
    )


def _one_frame_long(model: "ModelProto") -> frozenset[str]:
    """Return the values whose first dimension is known to be 1."""
    graph = require("onnx").shape_inference.infer_shapes(model).graph
    return frozenset(
        value.name
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_value == 1
    )
