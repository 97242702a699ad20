"""ONNX graphs so small that every count can be done by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def tensor(name: str, *shape: int, dtype: type = np.float32) -> TensorProto:
    """An initializer with small values that are not all alike."""
    values = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape) % 7 - 3
    return numpy_helper.from_array(values.astype(dtype), name)


def value(name: str, shape: Sequence[int | str] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[TensorProto] = (),
    *,
    opset: int = 17,
    contrib: bool = False,
) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid("com.microsoft", 1)] * contrib
    ir = helper.find_min_ir_version_for(opsets[:1])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="hand")
    onnx.save(model, path)
    return path


def lstm_and_head(path: Path, *, folded: bool = True) -> Path:
    """An LSTM of 3 inputs and 4 units (48 + 64 weights, 32 biases) and a head of 4 x 2 (8 weights).

    Not `folded`, the recurrent weights arrive through a Concat, as from PyTorch's exporter.
    """
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    weights = [tensor("W", 1, 16, 3), tensor("B", 1, 32), tensor("head", 4, 2), axis]
    nodes = []
    if folded:
        weights.append(tensor("R", 1, 16, 4))
    else:
        weights += [tensor("R_a", 1, 8, 4), tensor("R_b", 1, 8, 4)]
        nodes.append(helper.make_node("Concat", ["R_a", "R_b"], ["R"], "join", axis=1))
    lstm_inputs = ["x", "W", "R", "B", "", "h0", "c0"]
    nodes += [
        helper.make_node("LSTM", lstm_inputs, ["y", "hn", "cn"], "lstm", hidden_size=4),
        helper.make_node("Squeeze", ["y", "axis"], ["z"], "squeeze"),
        helper.make_node("MatMul", ["z", "head"], ["logits"], "matmul"),
    ]
    state = (1, "N", 4)
    return save(
        path,
        nodes,
        [value("x", ("T", "N", 3)), value("h0", state), value("c0", state)],
        [value("logits", ("T", "N", 2)), value("hn", state), value("cn", state)],
        weights,
    )
