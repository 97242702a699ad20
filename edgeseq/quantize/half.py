"""fp32 ONNX file → fp16 ONNX file: half the bytes of weights, for GPUs that compute in halves.

What lies between weights computes in fp16. What lies between the graph's border and the nearest
operator with weights stays float32, and so do all inputs, states and outputs. That is not timid:

- a frame is in raw units, and 300 mg/dL in fp16 is 300 ± 0.125: normalisation comes first;
- so does the residual of a forecast, which is such a frame;
- a ring of keys and values is float32 in the contract: to halve it at every step would read and
  write all of it twice, where attention in float32 reads it once;
- rotary angles, positions and masks go with the ring.

Common converters cast the whole border to fp16 and back; hence this pass of our own.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeseq import files
from edgeseq.errors import ModelError, PromiseError
from edgeseq.extras import require
from edgeseq.graph.build import write_contract
from edgeseq.graph.weights import subgraphs, weight_uses
from edgeseq.quantize.source import read, renamed_contract, unreadable
from edgeseq.recipes import Recipe

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_TYPED = ("Cast", "CastLike", "Constant", "ConstantOfShape", "EyeLike", "Range")
"""Operators whose output type does not follow their inputs': they keep it, and casts follow."""


def halve_file(source: Path, target: Path, recipe: Recipe, *, producer: str = "") -> None:
    """Write the ONNX file `source` to `target` with its weights and their arithmetic in fp16.

    The contract of `source`, if it has one, is kept; only its recipe and producer change.

    Args:
        source: an fp32 file.
        target: where the fp16 file goes, written atomically.
        recipe: the recipe to name in the contract.
        producer: who halves; empty: the producer of `source`.

    Raises:
        PromiseError: nothing would run in fp16, or a weight is too large for it.
        ModelError: the file cannot be read, or has branches or loops.
        MissingExtraError: onnx is not installed.
    """
    onnx = require("onnx")
    model = read(source)
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except Exception as error:  # protobuf, onnx and the system each raise their own
        raise unreadable(source, error) from None
    halve(model, str(source))
    if contract := renamed_contract(model, recipe, producer, source):
        model.producer_version = contract.producer
        write_contract(model, contract)
    onnx.checker.check_model(model, full_check=True)
    files.write_bytes(target, model.SerializeToString())


def halve(model: "ModelProto", where: str = "the model") -> None:
    """Rewrite `model`, whose types are inferred, to fp16 between its weights."""
    if any(True for node in model.graph.node for _ in subgraphs(node)):
        raise ModelError(
            f"{where} has branches or loops (If, Loop, Scan), which fp16 does not enter; "
            "take its fp32 variant"
        )
    pass_ = _Halving(model, where)
    if not any(use.node in pass_.half for use in weight_uses(model)):
        raise PromiseError(
            f"{where} would be fp16 in name only: it has no operator with weights; nothing was "
            "written. Take its fp32 variant"
        )
    pass_.run()


def float32_nodes(model: "ModelProto") -> frozenset[str]:
    """Return the nodes between the graph's border and the nearest operators with weights.

    Walks from every input with the graph and from every output against it, and stops at weights.
    """
    graph = model.graph
    weights = {use.node for use in weight_uses(model)}
    constants = {item.name for item in graph.initializer}
    reached = {item.name for item in graph.input} - constants
    needed = {item.name for item in graph.output}
    found: set[str] = set()
    for node in graph.node:  # sorted: what feeds a node stands before it
        if _key(node) not in weights and not reached.isdisjoint(node.input):
            reached.update(node.output)
            found.add(_key(node))
    for node in reversed(graph.node):
        if _key(node) not in weights and not needed.isdisjoint(node.output):
            needed.update(node.input)
            found.add(_key(node))
    return frozenset(found)


class _Halving:
    """One rewrite of one graph: casts are shared, constants that both sides use are kept twice."""

    def __init__(self, model: "ModelProto", where: str) -> None:
        self._onnx, self._where = require("onnx"), where
        self._graph = model.graph
        self._float = self._onnx.TensorProto.FLOAT
        self._float16 = self._onnx.TensorProto.FLOAT16
        outside = float32_nodes(model)
        self.half = {
            _key(node)
            for node in self._graph.node
            if _key(node) not in outside and node.op_type not in _TYPED
        }
        self._constants = {item.name: item for item in self._graph.initializer}
        self._floats = self._float_values()
        self._halves: set[str] = set()  # values that now are fp16
        self._nodes: list[Any] = []
        self._before_cast: dict[str, str] = {}  # what the graph returns → the fp16 it is cast from
        self._casts: set[str] = set()
        self._new: dict[str, TensorProto] = {}

    def run(self) -> None:
        """Rewrite the graph in place."""
        for node in list(self._graph.node):
            half = _key(node) in self.half
            for index, name in enumerate(node.input):
                node.input[index] = self._as_half(name) if half else self._as_float(name)
            self._nodes.append(node)
            if half:
                self._halve_outputs(node)
        self._replace()

    def _float_values(self) -> set[str]:
        graph = self._graph
        typed = (*graph.input, *graph.output, *graph.value_info)
        values = {v.name for v in typed if v.type.tensor_type.elem_type == self._float}
        return values | {i.name for i in graph.initializer if i.data_type == self._float}

    def _as_half(self, name: str) -> str:
        if name in self._before_cast:
            return self._before_cast[name]
        if name in self._halves or name not in self._floats:
            return name
        if name in self._constants:
            return self._half_constant(name)
        return self._cast(name, f"{name}_fp16", self._float16)

    def _as_float(self, name: str) -> str:
        return self._cast(name, f"{name}_fp32", self._float) if name in self._halves else name

    def _half_constant(self, name: str) -> str:
        """Return the name of the fp16 twin of a constant, made once."""
        half = f"{name}_fp16"
        if half not in self._new:
            values = self._onnx.numpy_helper.to_array(self._constants[name])
            with np.errstate(over="ignore"):
                rounded = values.astype(np.float16)
            if not np.array_equal(np.isfinite(rounded), np.isfinite(values)):
                raise PromiseError(
                    f"{self._where}: {name} holds {np.abs(values).max():.3g}, more than fp16's "
                    "65504; nothing was written. Take the fp32 variant"
                )
            self._new[half] = self._onnx.numpy_helper.from_array(rounded, half)
        return half

    def _cast(self, name: str, to: str, dtype: int) -> str:
        if to not in self._casts:
            self._nodes.append(self._cast_node(name, to, dtype))
            self._casts.add(to)
        return to

    def _cast_node(self, name: str, to: str, dtype: int) -> Any:  # noqa: ANN401 - NodeProto
        return self._onnx.helper.make_node("Cast", [name], [to], name=f"Cast_{to}", to=dtype)

    def _halve_outputs(self, node: "NodeProto") -> None:
        """Mark a node's outputs as fp16; behind an output of the graph comes a cast."""
        results = {item.name for item in self._graph.output}
        for index, name in enumerate(node.output):
            if name not in self._floats:
                continue
            if name not in results:
                self._halves.add(name)
                continue
            half = node.output[index] = self._before_cast[name] = f"{name}_as_fp16"
            self._nodes.append(self._cast_node(half, name, self._float))

    def _replace(self) -> None:
        graph = self._graph
        used = {name for node in self._nodes for name in node.input}
        kept = [item for item in graph.initializer if item.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend([*kept, *self._new.values()])


def _key(node: "NodeProto") -> str:
    """Return what `weight_uses` calls a node."""
    return str(node.name or node.output[0])


def half_share(model: "ModelProto") -> float:
    """Return the share of the weights that a graph multiplies by in fp16, 0 to 1."""
    onnx = require("onnx")
    uses = weight_uses(model)
    half = {
        item.name for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT16
    }
    inputs = {_key(node): node.input for node in model.graph.node}
    total = sum(use.elements for use in uses)
    counted = sum(use.elements for use in uses if _all_half(inputs[use.node], half))
    return counted / total if total else 0.0


def _all_half(inputs: Iterable[str], half: set[str]) -> bool:
    return any(name in half for name in inputs)
