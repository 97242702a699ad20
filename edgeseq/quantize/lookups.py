"""A weight that is looked up in, too, as a table of tokens is: stored once, as its integers.

The quantizers replace what multiplies and leave what looks up, which keeps the floats in the file
beside the integers. Here the floats are made of the integers: once, when the file is loaded.
"""

from typing import TYPE_CHECKING

from edgeseq.extras import require
from edgeseq.graph.edit import copied, free_name
from edgeseq.graph.weights import all_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


def store_once(model: "ModelProto") -> "ModelProto":
    """Return a copy of `model` that makes floats of signed integers, where it has both.

    The pairs are those that the schemes dynamic and static leave: `W` and `W_quantized`, `W_scale`.
    Blocks of weights are in an order of their own and stay beside what they were.
    """
    result = copied(model)
    constants = {item.name: item for item in result.graph.initializer}
    read = {name for node in all_nodes(result.graph) for name in node.input}
    twice = [name for name in constants if name in read and _in_integers(name, constants)]
    taken = {*constants, *(name for node in all_nodes(result.graph) for name in node.output)}
    made = [node for name in twice for node in _unpacked(name, free_name(f"{name}_levels", taken))]
    nodes = [*made, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    kept = [item for name, item in constants.items() if name not in twice]
    del result.graph.initializer[:]
    result.graph.initializer.extend(kept)
    return result


def _in_integers(name: str, constants: "dict[str, TensorProto]") -> bool:
    """Say whether the graph has the integers of a weight, whose zero is zero."""
    onnx = require("onnx")
    levels, scale = constants.get(f"{name}_quantized"), constants.get(f"{name}_scale")
    if levels is None or scale is None or levels.data_type != onnx.TensorProto.INT8:
        return False
    zero = constants.get(f"{name}_zero_point")
    return zero is None or not onnx.numpy_helper.to_array(zero).any()


def _unpacked(name: str, levels: str) -> "tuple[NodeProto, NodeProto]":
    """Return the nodes that make the weight `name` of its integers."""
    onnx = require("onnx")
    make_node, to = onnx.helper.make_node, onnx.TensorProto.FLOAT
    return (
        make_node("Cast", [f"{name}_quantized"], [levels], name=levels, to=to),
        make_node("Mul", [levels, f"{name}_scale"], [name], name=f"{name}_unpacked"),
    )
