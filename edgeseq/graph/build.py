"""Writing ONNX graphs by hand, one readable line a node."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.extras import require

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

Dimension = int | str


class GraphBuilder:
    """Collects nodes in the order they are written; every value is known by its name.

    `prefix` begins the names that it gives itself, for parts of a larger graph.
    """

    def __init__(self, prefix: str = "") -> None:
        self._onnx, self._prefix = require("onnx"), prefix
        self._nodes: list[NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, dtype: str, shape: Sequence[Dimension]) -> str:
        """Declare a graph input."""
        self._inputs.append(self._value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: str, shape: Sequence[Dimension]) -> None:
        """Declare the value `name` as a graph output."""
        self._outputs.append(self._value_info(name, dtype, shape))

    def constant(self, value: Any, name: str = "") -> str:  # noqa: ANN401 - any array-like
        """Return the name of an initializer; floats become float32, integers int64."""
        array = np.asarray(value)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        shape = "x".join(map(str, array.shape))
        name = name or f"{self._prefix}const_{shape}_{len(self._initializers)}"
        if name in self._initializers:
            raise ValueError(f"two initializers are called {name}")
        self._initializers[name] = self._onnx.numpy_helper.from_array(
            np.ascontiguousarray(array), name
        )
        return name

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:  # noqa: ANN401
        """Add a node with one output, called `to` or numbered."""
        return self.ops(kind, *inputs, to=(to or self._name(kind),), **attributes)[0]

    def ops(self, kind: str, *inputs: str, to: Sequence[str], **attributes: Any) -> Sequence[str]:  # noqa: ANN401
        """Add a node with the outputs `to`."""
        make_node = self._onnx.helper.make_node
        node = make_node(kind, inputs, to, name=self._name(kind), **attributes)
        self._nodes.append(node)
        return to

    def integers(self, value: str) -> str:
        """Return `value` as int64."""
        name = self._name("Cast")
        node = self._onnx.helper.make_node(
            "Cast", [value], [name], name=name, to=self._onnx.TensorProto.INT64
        )
        self._nodes.append(node)
        return name

    def split(self, value: str, sizes: Sequence[int], axis: int) -> Sequence[str]:
        """Cut `value` along `axis` into parts of `sizes`."""
        names = [f"{self._name('split')}_{part}" for part in range(len(sizes))]
        return self.ops("Split", value, self.constant(list(sizes)), to=names, axis=axis)

    def graph(self, name: str) -> "GraphProto":
        """Return the graph: of a model, or the body of a node."""
        graph: GraphProto = self._onnx.helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._initializers.values())
        )
        return graph

    def model(self, contract: Contract, opset: int) -> "ModelProto":
        """Return the checked ONNX model, carrying `contract` in its metadata."""
        helper = self._onnx.helper
        opsets = [helper.make_opsetid("", opset)]
        model: ModelProto = helper.make_model(
            self.graph("edgeseq"),
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="edgeseq",
            producer_version=contract.producer,
        )
        write_contract(model, contract)
        self._onnx.checker.check_model(model, full_check=True)
        return model

    def _name(self, kind: str) -> str:
        return f"{self._prefix}{kind}_{len(self._nodes)}"

    def _value_info(self, name: str, dtype: str, shape: Sequence[Dimension]) -> Any:  # noqa: ANN401
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, kind, shape)


def write_contract(model: "ModelProto", contract: Contract) -> None:
    """Store `contract` in the model's `metadata_props`, in place of an older one."""
    keep = {prop.key: prop.value for prop in model.metadata_props if prop.key != METADATA_KEY}
    text = json.dumps(contract.to_json(), separators=(",", ":"), sort_keys=True)
    require("onnx").helper.set_model_props(model, {**keep, METADATA_KEY: text})


def read_contract(model: "ModelProto", where: str) -> Contract | None:
    """Return the contract in the model's `metadata_props`, or none; `where` names it in errors."""
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    return Contract.from_metadata(metadata, where=where) if METADATA_KEY in metadata else None
