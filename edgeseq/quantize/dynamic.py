"""Products and LSTMs → int8 whose activations are quantized on the fly, by ONNX Runtime's tool."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from edgeseq.errors import ModelError
from edgeseq.extras import require
from edgeseq.graph.edit import drop_unused
from edgeseq.graph.weights import all_graphs, all_nodes
from edgeseq.quantize.fit import refit
from edgeseq.quantize.products import weights_of
from edgeseq.recipes import Quantization

if TYPE_CHECKING:
    from onnx import ModelProto


def quantize_dynamic(
    model: "ModelProto", wanted: Collection[str], how: Quantization, where: str = "the model"
) -> "ModelProto":
    """Return `model` with the products of the weights `wanted` in dynamic int8.

    Nodes are known to the tool by name, so each needs one of its own. Only those that hold weights
    are named: the tool would also round the rotary table that `Gather` reads, and breaks the ONNX
    `Attention` operator.

    Raises:
        ModelError: the tool failed.
    """
    onnx, tool = require("onnx"), require("onnxruntime.quantization")
    nodes = [
        node.name
        for node in all_nodes(model.graph)
        if node.op_type in ("LSTM", "MatMul") and not set(weights_of(node)).isdisjoint(wanted)
    ]
    if not nodes:  # the tool would take all of them
        return model
    with TemporaryDirectory() as scratch, _quiet():
        result = Path(scratch, "int8.onnx")
        try:
            tool.quantize_dynamic(
                model,
                result,
                op_types_to_quantize=["LSTM", "MatMul"],
                nodes_to_quantize=nodes,
                per_channel=how.per_channel,
                reduce_range=how.reduce_range,
                weight_type={"s8": tool.QuantType.QInt8, "u8": tool.QuantType.QUInt8}[how.weights],
                extra_options={"EnableSubgraph": True},  # the body of a Scan
            )
            quantized: ModelProto = onnx.load(result)
        except Exception as error:  # the tool lets through whatever it runs into
            raise ModelError(
                f"ONNX Runtime's quantizer failed on {where}: "
                f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            ) from None
    if how.fit_pairs:
        refit(quantized, model, wanted)
    _drop_zero_points(quantized)
    return quantized


def _drop_zero_points(model: "ModelProto") -> None:
    """Remove the zero points of signed weights, a column of zeros for each: zero is the default.

    The int8 LSTM wants them all the same, but takes one for all columns.
    """
    onnx = require("onnx")
    zeros = {
        item.name: item
        for graph in all_graphs(model.graph)
        for item in graph.initializer
        if item.data_type == onnx.TensorProto.INT8
        and item.name.endswith("_zero_point")
        and not onnx.numpy_helper.to_array(item).any()
    }
    for node in all_nodes(model.graph):
        if node.op_type == "MatMulInteger" and len(node.input) == 4 and node.input[3] in zeros:
            del node.input[3]
    for item in zeros.values():  # those that are read still
        item.CopyFrom(onnx.numpy_helper.from_array(np.zeros(1, np.int8), item.name))
    drop_unused(model.graph, zeros)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tool's advice off the root logger: to pre-process, and not to quantize twice."""
    root, handler, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(handler)  # or logging would make one that stays
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(handler)
