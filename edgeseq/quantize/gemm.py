"""`Gemm`, which PyTorch's exporter writes for a linear layer → a product and a sum.

So that every weight is the right side of a `MatMul`, whatever its scheme.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgeseq.extras import require
from edgeseq.graph.edit import copied
from edgeseq.graph.weights import all_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


def take_gemms_apart(model: "ModelProto", weights: Collection[str]) -> "ModelProto":
    """Return a copy of `model` whose `Gemm`s of `weights` are products, if they are nothing more.

    Those with factors, with a turned left side or with a weight that others read stay.
    """
    result = copied(model)
    graph = result.graph
    reads = Counter(name for node in all_nodes(graph) for name in node.input)
    constants = {
        item.name: item
        for item in graph.initializer
        if item.name in weights and reads[item.name] == 1
    }
    nodes = [part for node in graph.node for part in _parts(node, constants)]
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def _parts(node: "NodeProto", constants: "dict[str, TensorProto]") -> "Iterator[NodeProto]":
    """Yield the nodes that do what `node` does; a weight that it turns is turned for good."""
    onnx = require("onnx")
    read, make_node = onnx.helper.get_attribute_value, onnx.helper.make_node
    found = {item.name: read(item) for item in node.attribute}
    turned = found.pop("transB", 0)
    plain = all(value == (0 if name == "transA" else 1) for name, value in found.items())
    if node.op_type != "Gemm" or node.input[1] not in constants or not plain:
        yield node
        return
    weight = constants[node.input[1]]
    if turned:
        values = np.ascontiguousarray(onnx.numpy_helper.to_array(weight).T)
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    bias = [name for name in node.input[2:] if name]
    product = f"{node.output[0]}_product" if bias else node.output[0]
    yield make_node("MatMul", node.input[:2], [product], name=node.name)
    if bias:
        yield make_node("Add", [product, *bias], node.output, name=f"{node.name}_add")
