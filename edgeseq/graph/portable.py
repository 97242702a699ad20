"""Which nodes of an ONNX file answer differently on different CPUs, and why.

Integer products are exact, wherever they run, until their sum leaves the register that holds it.
What is said here of kernels was read in ONNX Runtime's MLAS and holds bit for bit under emulation:
`tests/benchmarks/everywhere.py`. Floats round differently on every CPU; that is not counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.graph.weights import INTEGER_ACCURACY, subgraphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

T = TypeVar("T", bound=np.generic)

SATURATES = "x86 CPUs without VNNI add two products of u8 x s8 in 16 bits, too few for such weights"
WRAPS = "Arm CPUs without dot product add two products of s8 x s8 in 16 bits, too few for -128"
ROUNDS = (
    "activations are rounded to 8 bits on CPUs with AVX2 or dot product, and stay floats on others"
)
CONVOLVES = (
    "x86 CPUs without VNNI add two products of u8 x s8 in 16 bits; which two of a convolution is "
    "not modelled, and some two weights of a filter are too large"
)

HIGHEST_SUM = 128
"""Largest sum of two weights of the same sign whose products with bytes fit 16 bits: 255 * 128."""


@dataclass(frozen=True)
class Dependence:
    """One reason why a node's answer depends on the CPU."""

    node: str
    operator: str
    why: str
    pairs: int
    """Pairs of weights whose two products can leave 16 bits; 0 where the reason is another."""


@dataclass(frozen=True)
class _Places:
    """Where an operator keeps what this is about, by index of its inputs."""

    weights: tuple[int, ...]
    zero_point: int | None = None
    """Zero point of the activations, whose type is theirs; none: they are unsigned."""


_PRODUCTS = {
    "DynamicQuantizeLSTM": _Places((1, 2)),
    "DynamicQuantizeMatMul": _Places((1,)),
    "MatMulInteger": _Places((1,), 2),
    "MatMulIntegerToFloat": _Places((1,), 4),
    "QAttention": _Places((1,), 6),
    "QGemm": _Places((3,), 2),
    "QLinearMatMul": _Places((3,), 2),
}
_CONVOLUTIONS = {"ConvInteger": _Places((1,), 2), "QLinearConv": _Places((3,), 2)}
_BETWEEN_SCALES = ("Gemm", "MatMul")
"""Run in integers between `DequantizeLinear`s. ONNX Runtime makes such activations unsigned."""
_SHAPES = ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that a scale passes through."""


def dependences(model: "ModelProto") -> tuple[Dependence, ...]:
    """Return why nodes of `model`, subgraphs included, depend on the CPU; empty where none does.

    Raises:
        ValueError, onnx.checker.ValidationError: weights lie in other files and were not loaded.
    """
    return tuple(_of_graph(model.graph, _Scope({}, {})))


def summary(found: Sequence[Dependence], names: int = 3) -> str:
    """Say in one line which nodes depend on the CPU, by how many pairs, and why."""
    nodes = list(dict.fromkeys(item.node for item in found))
    named = ", ".join(nodes[:names]) + (" …" if len(nodes) > names else "")
    pairs = sum(item.pairs for item in found)
    counted = f", {pairs:,} pair{'s' * (pairs > 1)} of weights" if pairs else ""
    whys = "; ".join(dict.fromkeys(item.why for item in found))
    return f"{len(nodes)} node{'s' * (len(nodes) > 1)} ({named}){counted}: {whys}"


def saturating_pairs(weights: NDArray[np.int8]) -> int:
    """Count pairs of `(..., K, N)` whose two products with bytes can leave 16 bits."""
    return int(np.count_nonzero(sums_of_pairs(weights.astype(np.int32)) > HIGHEST_SUM))


def sums_of_pairs(weights: NDArray[T]) -> NDArray[T]:
    """Return how far from zero the products of each pair of `(..., K, N)` can add up, in weights.

    A pair is two neighbours along K that `vpmaddubsw` adds before their sum is widened: 0 and 1, 2
    and 3. A byte may be zero, so weights of different signs count alone.
    """
    first, second = _split(weights, block=2)
    above = np.maximum(first, 0) + np.maximum(second, 0)
    below = np.minimum(first, 0) + np.minimum(second, 0)
    sums: NDArray[T] = np.maximum(above, -below)[..., 0, :]
    return sums


def wrapping_pairs(weights: NDArray[np.int8]) -> int:
    """Count pairs of `(..., K, N)` whose two products can leave 16 bits on Arm (`smull`, `smlal`).

    A pair lies 8 apart in 16 values along K; activations are made signed first. Only the sum of
    twice -128 x -128 has no place.
    """
    first, second = _split(weights, block=16)
    return int(np.count_nonzero((first == -128) & (second == -128)))


def _split(weights: NDArray[T], block: int) -> NDArray[T]:
    """Cut K into blocks, the last filled with zeros; return their first and second halves."""
    *outer, k, n = weights.shape
    blocks = -(-k // block)
    filled = np.zeros((*outer, blocks * block, n), weights.dtype)
    filled[..., :k, :] = weights
    halves = filled.reshape(*outer, blocks, 2, block // 2, n)
    return np.moveaxis(halves, -3, 0)


@dataclass(frozen=True)
class _Scope:
    """What a graph sees of itself and of the graphs around it."""

    constants: "Mapping[str, TensorProto]"
    makers: "Mapping[str, NodeProto]"
    """The node that makes a value, by the value's name."""

    def within(self, graph: "GraphProto") -> "_Scope":
        constants = {**self.constants, **{item.name: item for item in graph.initializer}}
        for node in graph.node:
            tensors = [item.t for item in node.attribute if item.name == "value"]
            if node.op_type == "Constant" and tensors:
                constants[node.output[0]] = tensors[0]
        made = {name: node for node in graph.node for name in node.output}
        return _Scope(constants, {**self.makers, **made})

    def constant(self, node: "NodeProto", place: int | None) -> NDArray[Any] | None:
        """Return the constant that a node reads there, or none."""
        if place is None or place >= len(node.input) or node.input[place] not in self.constants:
            return None
        array: NDArray[Any] = require("onnx").numpy_helper.to_array(
            self.constants[node.input[place]]
        )
        return array

    def scaled(self, name: str) -> "NodeProto | None":
        """Return the `DequantizeLinear` that a value comes from, reshaped or not."""
        maker = self.makers.get(name)
        while maker is not None and maker.op_type in _SHAPES:
            maker = self.makers.get(maker.input[0])
        return maker if maker is not None and maker.op_type == "DequantizeLinear" else None


def _of_graph(graph: "GraphProto", outer: _Scope) -> Iterator[Dependence]:
    scope = outer.within(graph)
    for node in graph.node:
        yield from _of_node(node, scope)
        for inner in subgraphs(node):
            yield from _of_graph(inner, scope)


def _of_node(node: "NodeProto", scope: _Scope) -> Iterator[Dependence]:
    if node.op_type == "MatMulNBits":
        level = next((item.i for item in node.attribute if item.name == "accuracy_level"), 0)
        if level == INTEGER_ACCURACY:
            yield _dependence(node, ROUNDS, 0)
    elif node.op_type in _CONVOLUTIONS:
        filters = _weights(node, scope, _CONVOLUTIONS[node.op_type])
        if any(_any_two_saturate(each) for each in filters):
            yield _dependence(node, CONVOLVES, 0)
    elif node.op_type in _PRODUCTS:
        places = _PRODUCTS[node.op_type]
        weights = _weights(node, scope, places)
        yield from _of_products(node, weights, signed=_signed(node, scope, places))
    elif node.op_type in _BETWEEN_SCALES:
        yield from _of_products(node, _between_scales(node, scope), signed=False)


def _of_products(
    node: "NodeProto", weights: list[NDArray[np.int8]], *, signed: bool
) -> Iterator[Dependence]:
    """Count pairs; signed activations meet signed weights in x86 kernels that do not saturate."""
    counts = {
        SATURATES: 0 if signed else sum(map(saturating_pairs, weights)),
        WRAPS: sum(map(wrapping_pairs, weights)),
    }
    return (_dependence(node, why, pairs) for why, pairs in counts.items() if pairs)


def _weights(node: "NodeProto", scope: _Scope, places: _Places) -> list[NDArray[np.int8]]:
    """Return the constant int8 weights of a node as `(..., K, N)`."""
    found = [scope.constant(node, place) for place in places.weights]
    return [_k_first(node, each) for each in found if each is not None and each.dtype == np.int8]


def _between_scales(node: "NodeProto", scope: _Scope) -> list[NDArray[np.int8]]:
    """Return the int8 weights of a float product whose both factors come from integers."""
    if len(node.input) < 2 or scope.scaled(node.input[0]) is None:
        return []
    scale = scope.makers.get(node.input[1])
    if scale is None or scale.op_type != "DequantizeLinear":
        return []
    array = scope.constant(scale, 0)
    return [_k_first(node, array)] if array is not None and array.dtype == np.int8 else []


def _k_first(node: "NodeProto", array: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return weights as `(..., K, N)`: `Gemm` may hold them the other way round."""
    turned = any(item.name == "transB" and item.i for item in node.attribute)
    return array.T if turned else array[:, None] if array.ndim == 1 else array


def _signed(node: "NodeProto", scope: _Scope, places: _Places) -> bool:
    zero_point = scope.constant(node, places.zero_point)
    return zero_point is not None and zero_point.dtype == np.int8


def _any_two_saturate(filters: NDArray[np.int8]) -> bool:
    """Say whether any two weights of a filter `(M, C, ...)` would, were they neighbours."""
    ranked = np.sort(filters.reshape(len(filters), -1), axis=1)
    return any(saturating_pairs(pair.T) > 0 for pair in (ranked[:, :2], ranked[:, -2:]))


def _dependence(node: "NodeProto", why: str, pairs: int) -> Dependence:
    return Dependence(node.name or node.output[0], node.op_type, why, pairs)
