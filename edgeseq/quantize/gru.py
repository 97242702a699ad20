"""ONNX's `GRU` operator → products and gates, because ONNX Runtime has no int8 GRU.

A layer becomes two products: of the input weights with all frames at once, and of the recurrent
weights with the hidden state in every step, the three gates side by side in each. The quantizer
makes integers of both, and ONNX Runtime runs each as one node, its bias included. Exactly one frame
a call is straight-line code; for any other number a `Scan` goes from frame to frame. What that
saves is bytes; whether time, too, `edgeseq quantize` measures before it prefers the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.graph.build import GraphBuilder
from edgeseq.graph.weights import all_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_OLDEST_OPSET = 13
"""Since when `Split` and `Unsqueeze` take sizes and axes as inputs."""
_SUPPORTED = {
    "activations": ([b"Sigmoid", b"Tanh"],),
    "direction": (b"forward",),
    "layout": (0,),
    "linear_before_reset": (1,),
}
"""Values of attributes with which a GRU is taken apart; `clip` and unknown ones have none."""


def take_apart(model: "ModelProto") -> "ModelProto":
    """Return a copy of `model` with its GRUs as products and gates, or `model` if it has none.

    Some stay operators, and in fp32, as the census will say: two directions, the reset before
    the product, other activations, clipping, lengths, weights that are no initializers.
    """
    onnx = require("onnx")
    opset = next((item.version for item in model.opset_import if not item.domain), 0)
    if opset < _OLDEST_OPSET or all(node.op_type != "GRU" for node in model.graph.node):
        return model
    result: ModelProto = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:]
    constants = {item.name: item for item in graph.initializer}
    single = _one_frame_long(model)
    for index, node in enumerate(model.graph.node):
        if not _can_be_taken_apart(node, constants):
            graph.node.append(node)
            continue
        w, r, b = (onnx.numpy_helper.to_array(constants[name])[0] for name in node.input[1:4])
        layer = _Layer(GraphBuilder(f"{node.name or 'GRU'}_{index}_"), w, r, b)
        layer.write(node, one_frame=node.input[0] in single)
        part = layer.graph.graph("")
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
    _drop_unused(graph)
    return result


@dataclass(frozen=True)
class _Layer:
    """One GRU on its way into nodes; its gates come z, r, h."""

    graph: GraphBuilder
    w: NDArray[np.float32]
    """Input weights `(3 H, F)`."""
    r: NDArray[np.float32]
    """Recurrent weights `(3 H, H)`."""
    b: NDArray[np.float32]
    """The biases of both `(6 H,)`."""

    def write(self, node: "NodeProto", *, one_frame: bool) -> None:
        """Write what `node` does, to the same outputs."""
        graph = self.graph
        wanted = [*node.output, "", ""]
        x, h = node.input[0], (list(node.input) + [""] * 2)[5]
        x_gates = self._product(graph, x, self.w, self.b[: len(self.w)])  # (T, N, 3 H)
        h = h or self._zeros(x_gates)
        every, last = wanted[0], wanted[1] or f"{x_gates}_last"
        if not one_frame:
            self._scan(x_gates, h, every, last)
            return
        last = self._step(graph, x_gates, h, last)
        if every:
            graph.op("Unsqueeze", last, graph.constant([0]), to=every)  # (1, 1, N, H)

    def _step(self, graph: GraphBuilder, x_gates: str, h: str, to: str = "") -> str:
        """Return the next hidden state `(1, N, H)` of `h`.

        The reset gate multiplies what the recurrent weights and their bias made, so that part of
        the sum stays apart. The last node waits for all that read `h`: in place is safe.
        """
        hidden = len(self.r) // 3
        h_gates = self._product(graph, h, self.r, self.b[len(self.w) :])
        x_zr, x_n = graph.split(x_gates, [2 * hidden, hidden], axis=-1)
        h_zr, h_n = graph.split(h_gates, [2 * hidden, hidden], axis=-1)
        zr = graph.op("Sigmoid", graph.op("Add", x_zr, h_zr))
        z, r = graph.split(zr, [hidden, hidden], axis=-1)
        n = graph.op("Tanh", graph.op("Add", x_n, graph.op("Mul", r, h_n)))
        return graph.op("Add", n, graph.op("Mul", z, graph.op("Sub", h, n)), to=to)

    def _scan(self, x_gates: str, h: str, every: str, last: str) -> None:
        """Write a loop over frames, which returns states in the operator's own shapes."""
        hidden = len(self.r) // 3
        body = GraphBuilder(f"{x_gates}_")
        body.input(f"{x_gates}_h", "float32", [1, "streams", hidden])
        body.input(f"{x_gates}_x", "float32", ["streams", 3 * hidden])
        after = self._step(body, f"{x_gates}_x", f"{x_gates}_h")
        body.output(after, "float32", [1, "streams", hidden])
        body.output(body.op("Identity", after), "float32", [1, "streams", hidden])
        outputs = (last, every or f"{x_gates}_every")  # of a Scan, states come first
        step = body.graph("step")
        self.graph.ops("Scan", h, x_gates, to=outputs, body=step, num_scan_inputs=1)

    def _product(
        self, graph: GraphBuilder, x: str, weights: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> str:
        return graph.op(
            "Add", graph.op("MatMul", x, graph.constant(weights.T)), graph.constant(bias)
        )

    def _zeros(self, x_gates: str) -> str:
        """Return the state `(1, N, H)` that a GRU without one starts from."""
        graph = self.graph
        streams = graph.op("Gather", graph.op("Shape", x_gates), graph.constant([1]))
        one, hidden = graph.constant([1]), graph.constant([len(self.r) // 3])
        return graph.op("ConstantOfShape", graph.op("Concat", one, streams, hidden, axis=0))


def _can_be_taken_apart(node: "NodeProto", constants: Mapping[str, Any]) -> bool:
    if node.op_type != "GRU":
        return False
    read = require("onnx").helper.get_attribute_value
    found = {item.name: read(item) for item in node.attribute if item.name != "hidden_size"}
    inputs = [*node.input, "", ""]
    return (
        found.get("linear_before_reset") == 1
        and all(value in _SUPPORTED.get(name, ()) for name, value in found.items())
        and all(name in constants for name in inputs[1:4])
        and not inputs[4]  # lengths of single streams
    )


def _one_frame_long(model: "ModelProto") -> frozenset[str]:
    """Return the values whose first dimension is known to be 1."""
    graph = require("onnx").shape_inference.infer_shapes(model).graph
    return frozenset(
        value.name
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_value == 1
    )


def _drop_unused(graph: "GraphProto") -> None:
    used = {name for node in all_nodes(graph) for name in node.input}
    used |= {item.name for item in graph.output}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
