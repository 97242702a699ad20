"""Products → `MatMulNBits`: weights of 8 or 4 bits in blocks, frames rounded on the fly.

At accuracy level 4 the operator rounds each block of a frame to 8 bits and multiplies integers. At
any other level it unpacks the weights to floats first, which in 8 bits takes 5 to 35 times as long.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.graph.blocks import Blocks, quantize_blocks
from edgeseq.graph.edit import copied, drop_unused, ranks
from edgeseq.graph.weights import all_nodes
from edgeseq.quantize.products import Product, products

if TYPE_CHECKING:
    from onnx import ModelProto

ACCURACY_LEVEL = 4
OLDEST = {8: "1.22.0", 4: "1.19.0"}
"""Since which ONNX Runtime the operator takes weights of so many bits, and a bias with them."""
_DOMAIN = "com.microsoft"


def quantize_in_blocks(model: "ModelProto", wanted: Mapping[str, int], block: int) -> "ModelProto":
    """Return a copy of `model` whose products with the weights `wanted` store them in blocks.

    Args:
        model: an fp32 graph.
        wanted: bits, 8 or 4, by the name of the weight.
        block: rows that share a scale; fewer where a weight has fewer.
    """
    onnx = require("onnx")
    result = copied(model)
    dimensions = ranks(onnx.shape_inference.infer_shapes(result).graph)
    for product in products(result):
        if product.weight in wanted:
            blocks = quantize_blocks(product.values, wanted[product.weight], block)
            bias = _take_bias(product, dimensions.get(product.x, 1))
            _replace(product, blocks, bias)
    drop_unused(result.graph, wanted)
    if all(item.domain != _DOMAIN for item in result.opset_import):
        result.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return result


def packed(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Return integers as bytes, along the last axis; of two in a byte the first is the lower."""
    if bits == 8:
        return values
    even = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, values.shape[-1] % 2)])
    pairs: NDArray[np.uint8] = (even[..., ::2] | (even[..., 1::2] << 4)).astype(np.uint8)
    return pairs


def _replace(product: Product, blocks: Blocks, bias: NDArray[np.float32] | None) -> None:
    """Make the product's node the operator, whose constants lie beside it."""
    onnx, name = require("onnx"), product.weight
    rows, columns = blocks.values.shape
    count = len(blocks.scales)
    filled = np.repeat(blocks.zero_points, blocks.size, axis=0)  # stands for 0 below the last row
    filled[:rows] = blocks.values
    constants = {
        f"{name}_blocks": packed(filled.T.reshape(columns, count, blocks.size), blocks.bits),
        f"{name}_scales": blocks.scales.T,
        f"{name}_zero_points": packed(blocks.zero_points.T, blocks.bits),
    }
    inputs = [product.x, *constants]
    if bias is not None:
        constants[f"{product.node.name}_bias"] = bias
        inputs += ["", f"{product.node.name}_bias"]  # no order of groups
    held = {item.name for item in product.graph.initializer}
    product.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.ascontiguousarray(array), key)
        for key, array in constants.items()
        if key not in held  # of a weight that two products share
    )
    node = onnx.helper.make_node(
        "MatMulNBits",
        inputs,
        product.node.output,
        name=product.node.name,
        domain=_DOMAIN,
        K=rows,
        N=columns,
        bits=blocks.bits,
        block_size=blocks.size,
        accuracy_level=ACCURACY_LEVEL,
    )
    product.node.CopyFrom(node)


def _take_bias(product: Product, rank: int) -> NDArray[np.float32] | None:
    """Return the bias `(N,)` that is added to the product and nothing else, its `Add` removed.

    `rank`: of the left side, if known; a bias of more dimensions would raise the result's.
    """
    graph, result = product.graph, product.node.output[0]
    if any(item.name == result for item in graph.output):
        return None
    readers = [node for node in all_nodes(graph) if result in node.input]
    constants = {item.name: item for item in graph.initializer}
    if len(readers) != 1 or readers[0].op_type != "Add" or readers[0] not in graph.node:
        return None
    others = [name for name in readers[0].input if name != result]
    if len(others) != 1 or others[0] not in constants:
        return None
    bias: NDArray[np.float32] = require("onnx").numpy_helper.to_array(constants[others[0]])
    columns = product.values.shape[1]
    if bias.size != columns or bias.shape[-1:] != (columns,) or bias.ndim > rank:
        return None
    product.node.output[0] = readers[0].output[0]
    graph.node.remove(readers[0])
    drop_unused(graph, others)
    return bias.reshape(-1)
