"""Products → int8 whose activations have a fixed range, found by calibration.

Each product's left side is quantized and dequantized by a scale that lies in the file, its weights
are int8 and dequantized (QDQ, ONNX's own operators, opset 13). ONNX Runtime makes one integer
product of that, also in the body of a loop. What is rounded does not depend on what else is in the
call: any chunk, and any batch, gives the same numbers as one frame a call.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import PromiseError
from edgeseq.extras import require
from edgeseq.graph.build import read_contract
from edgeseq.graph.edit import copied, drop_unused, free_name, ranks
from edgeseq.graph.weights import all_graphs
from edgeseq.quantize.calibrate import Array, watch
from edgeseq.quantize.fit import fit
from edgeseq.quantize.products import Product, products
from edgeseq.quantize.ranges import Range, find_range
from edgeseq.recipes import Quantization

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_FULL, _REDUCED = 127, 64
"""Largest int8 weight in 8 bits, and in the 7 that ONNX Runtime's tool, too, calls reduced."""


def quantize_static(
    model: "ModelProto", how: Quantization, streams: Sequence[Array]
) -> "ModelProto":
    """Return a copy of `model` whose products of the scheme `static` run in int8.

    Args:
        model: an fp32 graph with a contract, its LSTMs and GRUs taken apart.
        how: which products, and how their ranges are found.
        streams: frames `(T, F)` in raw units to calibrate on.

    Raises:
        PromiseError: what a product multiplies cannot be watched.
    """
    ranges = calibrated_ranges(model, how, streams)
    return with_ranges(model, ranges, how) if ranges else model


def calibrated_ranges(
    model: "ModelProto", how: Quantization, streams: Sequence[Array]
) -> dict[str, Range]:
    """Return the range of what is multiplied by each weight of the scheme `static`."""
    chosen = [product for product in products(model) if how.scheme(product.weight) == "static"]
    if not chosen:
        return {}
    _require_seen(model, chosen)
    calibration = how.calibration
    seen = watch(model, [product.seen for product in chosen], streams, state=calibration.state)
    return {
        product.weight: find_range(
            seen[product.seen], calibration.ranges, percentile=calibration.percentile
        )
        for product in chosen
    }


def with_ranges(
    model: "ModelProto", ranges: Mapping[str, Range], how: Quantization
) -> "ModelProto":
    """Return a copy of `model`; the products with the weights in `ranges` run in int8."""
    result = copied(model)
    inferred = require("onnx").shape_inference.infer_shapes(result).graph
    dimensions = {
        name: rank for graph in all_graphs(inferred) for name, rank in ranks(graph).items()
    }
    taken: set[str] = set()
    chosen = [product for product in products(result) if product.weight in ranges]
    prefixes = [free_name(product.weight, taken) for product in chosen]
    for product, prefix in zip(chosen, prefixes, strict=True):
        _quantize(product, prefix, ranges[product.weight], how)
        _keep_bias_apart(product, prefix, dimensions)
    for product, prefix in zip(chosen, prefixes, strict=True):
        _keep_state_apart(product, prefix, dimensions)
    drop_unused(result.graph, ranges)
    return result


def quantize_weights(
    values: NDArray[np.float32], how: Quantization
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 weights `(K, N)` and their scale, one a column `(N,)` or one for all `()`."""
    if how.fit_pairs:
        rounded, scales = fit(values, per_channel=how.per_channel)
        return rounded, scales if how.per_channel else scales.max()
    largest = np.abs(values).max(axis=0 if how.per_channel else None)
    scale = np.where(largest > 0, largest / (_REDUCED if how.reduce_range else _FULL), 1)
    scale = scale.astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


def _quantize(product: Product, prefix: str, found: Range, how: Quantization) -> None:
    """Put nodes that round before both inputs of a product."""
    make_node, graph, x = require("onnx").helper.make_node, product.graph, product.x
    weights, weights_scale = quantize_weights(product.values, how)
    scale, zero = found.affine
    names = {
        "quantized": weights,
        "scale": weights_scale,
        "zero_point": np.zeros(weights_scale.shape, np.int8),
        "x_scale": scale,
        "x_zero_point": zero,
    }
    for name, array in names.items():
        _add_constant(graph, f"{prefix}_{name}", array)
    on_x = [f"{prefix}_x_scale", f"{prefix}_x_zero_point"]
    on_weights = [f"{prefix}_quantized", f"{prefix}_scale", f"{prefix}_zero_point"]
    bytes_, rounded, floats = (
        f"{prefix}_{name}" for name in ("x_quantized", "x_rounded", "floats")
    )
    axis = {"axis": 1} if how.per_channel else {}
    nodes = [
        make_node("QuantizeLinear", [x, *on_x], [bytes_], name=f"{prefix}_quantize"),
        make_node("DequantizeLinear", [bytes_, *on_x], [rounded], name=f"{prefix}_dequantize"),
        make_node("DequantizeLinear", on_weights, [floats], name=f"{prefix}_weights", **axis),
    ]
    place = _place(graph, product.node)
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)
    del product.node.input[:]
    product.node.input.extend([rounded, floats])


def _keep_bias_apart(product: Product, prefix: str, dimensions: Mapping[str, int]) -> None:
    """Give a bias `(N,)` the rank of what it is added to.

    Of a product and a vector ONNX Runtime makes a `Gemm` before it looks for integers, and the
    product then runs in floats.
    """
    numpy_helper = require("onnx").numpy_helper
    product_name = product.node.output[0]
    rank = dimensions.get(product_name, 0)
    vectors = {item.name: item for item in product.graph.initializer if len(item.dims) == 1}
    for node in product.graph.node:
        if node.op_type == "Add" and product_name in node.input and rank > 2:
            for place, name in enumerate(node.input):
                if name in vectors:
                    bias = numpy_helper.to_array(vectors[name])
                    _add_constant(product.graph, f"{prefix}_bias", bias.reshape((1, 1, -1)))
                    node.input[place] = f"{prefix}_bias"
                    drop_unused(product.graph, [name])


def _keep_state_apart(product: Product, prefix: str, dimensions: Mapping[str, int]) -> None:
    """Put a node that changes nothing behind a product that is a state, and is rounded, too.

    For a product that is rounded at once ONNX Runtime looks for an operator that returns integers;
    there is none that returns floats as well, and the product then runs in floats.
    """
    graph, state = product.graph, product.node.output[0]
    rounding = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    is_read = any(state in node.input for node in rounding)
    if not is_read or state not in dimensions or all(item.name != state for item in graph.output):
        return
    make_node, floats, shape = require("onnx").helper.make_node, f"{prefix}_y", f"{prefix}_shape"
    _add_constant(graph, shape, np.array([0] * (dimensions[state] - 1) + [-1]))
    product.node.output[0] = floats
    after = make_node("Reshape", [floats, shape], [state], name=f"{prefix}_reshape")
    graph.node.insert(_place(graph, product.node) + 1, after)


def _require_seen(model: "ModelProto", chosen: Sequence[Product]) -> None:
    """Refuse what cannot be watched: loops within a call that starts from no state of its own."""
    contract = read_contract(model, "the graph")
    stepped = contract is None or contract.form != "sequence"
    hidden = [
        product.weight
        for product in chosen
        if not product.seen or (not stepped and product.seen != product.x)
    ]
    if hidden:
        raise PromiseError(
            f"what the weights {', '.join(hidden)} multiply lies inside a loop and cannot be "
            "watched from outside: a sequence graph runs all frames in one call. Export the form "
            "step, or use the recipe int8-dynamic"
        )


def _place(graph: "GraphProto", node: "NodeProto") -> int:
    outputs = [other.output[0] if other.output else "" for other in graph.node]
    return outputs.index(node.output[0])


def _add_constant(graph: "GraphProto", name: str, array: Any) -> None:  # noqa: ANN401 - any array
    numpy_helper = require("onnx").numpy_helper
    graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
