"""ONNX's `LSTM` and `GRU` operators → products and gates, where a scheme needs products.

ONNX Runtime has no int8 GRU, and its int8 LSTM knows one scheme only. A layer becomes two
products: of the input weights with all frames at once, and of the recurrent weights with the hidden
state in every step, the gates side by side in each. Each can then be quantized as if it stood
alone, and each weight keeps its name. Exactly one frame a call is straight-line code; for any other
number a `Scan` goes from frame to frame.

Every state may be written in place: the last node that writes one waits for all that read it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.graph.build import Dimension, GraphBuilder
from edgeseq.graph.edit import copied, free_name
from edgeseq.graph.weights import all_nodes
from edgeseq.quantize.products import weights_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_OLDEST_OPSET = 13
"""Since when `Split` and `Unsqueeze` take sizes and axes as inputs."""

Gates = Callable[[GraphBuilder, str, str, Sequence[str], int, Sequence[str]], Sequence[str]]
"""Writes one step: graph, the two products, states, their size → next states, called as asked."""


def _lstm(
    graph: GraphBuilder, x: str, h: str, states: Sequence[str], hidden: int, to: Sequence[str]
) -> Sequence[str]:
    """Return the next `h` and `c` `(1, N, H)`; the gates come i, o, f, c."""
    gates = graph.op("Add", x, h)
    iof, new = graph.split(gates, [3 * hidden, hidden], axis=-1)
    i, o, f = graph.split(graph.op("Sigmoid", iof), [hidden] * 3, axis=-1)
    kept, added = graph.op("Mul", f, states[1]), graph.op("Mul", i, graph.op("Tanh", new))
    c = graph.op("Add", kept, added, to=to[1])
    return graph.op("Mul", o, graph.op("Tanh", c), to=to[0]), c


def _gru(
    graph: GraphBuilder, x: str, h: str, states: Sequence[str], hidden: int, to: Sequence[str]
) -> Sequence[str]:
    """Return the next `h` `(1, N, H)`; the gates come z, r, h.

    The reset gate multiplies what the recurrent weights and their bias made, so that part of the
    sum stays apart.
    """
    x_zr, x_n = graph.split(x, [2 * hidden, hidden], axis=-1)
    h_zr, h_n = graph.split(h, [2 * hidden, hidden], axis=-1)
    z, r = graph.split(graph.op("Sigmoid", graph.op("Add", x_zr, h_zr)), [hidden] * 2, axis=-1)
    n = graph.op("Tanh", graph.op("Add", x_n, graph.op("Mul", r, h_n)))
    kept = graph.op("Mul", z, graph.op("Sub", states[0], n))
    return (graph.op("Add", n, kept, to=to[0]),)


@dataclass(frozen=True)
class _Cell:
    """What is particular to an operator."""

    gates: int
    states: int
    write: Gates
    one_bias: bool
    """Whether the biases of both products are only ever added up."""
    supported: dict[str, tuple[object, ...]]
    """Values of attributes with which it is taken apart; `clip` and unknown ones have none."""
    required: tuple[str, ...] = ()
    """Attributes whose default is not supported."""


_ANY = {"direction": (b"forward",), "layout": (0,)}
_CELLS = {
    "LSTM": _Cell(
        gates=4,
        states=2,
        write=_lstm,
        one_bias=True,
        supported={**_ANY, "activations": ([b"Sigmoid", b"Tanh", b"Tanh"],), "input_forget": (0,)},
    ),
    "GRU": _Cell(
        gates=3,
        states=1,
        write=_gru,
        one_bias=False,
        supported={**_ANY, "activations": ([b"Sigmoid", b"Tanh"],), "linear_before_reset": (1,)},
        required=("linear_before_reset",),
    ),
}
_LENGTHS, _PEEPHOLES = 4, 7
"""Inputs that are not understood: lengths of single streams, weights from the cell to its gates."""


def take_apart(model: "ModelProto", weights: Collection[str] | None = None) -> "ModelProto":
    """Return a copy of `model` with its LSTMs and GRUs as products and gates.

    Some stay operators, and in fp32, as the census will say: two directions, a GRU's reset before
    the product, other activations, clipping, lengths, peepholes, weights that are no initializers.

    Args:
        model: an fp32 graph; returned as it is if nothing in it is to be taken apart.
        weights: only the operators that hold one of these; none: all.
    """
    onnx = require("onnx")
    opset = next((item.version for item in model.opset_import if not item.domain), 0)
    constants = {item.name: item for item in model.graph.initializer}
    wanted = [
        opset >= _OLDEST_OPSET
        and _can_be_taken_apart(node, constants)
        and (weights is None or not set(weights).isdisjoint(weights_of(node)))
        for node in model.graph.node
    ]
    if not any(wanted):
        return model
    result = copied(model)
    graph = result.graph
    taken = _without(graph, wanted)
    single = _one_frame_long(model)
    for index, (node, apart) in enumerate(zip(model.graph.node, wanted, strict=True)):
        if not apart:
            graph.node.append(node)
            continue
        w, r, b = (onnx.numpy_helper.to_array(constants[name])[0] for name in node.input[1:4])
        w_name, r_name = (free_name(name, taken) for name in node.input[1:3])
        builder = GraphBuilder(f"{node.name or node.op_type}_{index}_")
        layer = _Layer(builder, _CELLS[node.op_type], w.T, r.T, b, w_name, r_name)
        layer.write(node, one_frame=node.input[0] in single)
        part = builder.graph("")
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
    return result


@dataclass(frozen=True)
class _Layer:
    """One operator on its way into nodes."""

    graph: GraphBuilder
    cell: _Cell
    w: NDArray[np.float32]
    """Input weights `(F, gates)`."""
    r: NDArray[np.float32]
    """Recurrent weights `(H, gates)`."""
    b: NDArray[np.float32]
    """The biases of both, one after the other."""
    w_name: str
    r_name: str

    def write(self, node: "NodeProto", *, one_frame: bool) -> None:
        """Write what `node` does, to the same outputs."""
        graph, count = self.graph, self.cell.states
        every, *last = [*node.output, "", ""][: 1 + count]
        x = self._product(graph, node.input[0], self.w, self.w_name, self._biases()[0])
        given = [*node.input, *[""] * _PEEPHOLES][5 : 5 + count]
        states = [state or self._zeros(x) for state in given]
        last = [name or f"{x}_last_{index}" for index, name in enumerate(last)]
        if not one_frame:
            self._scan(x, states, every, last)
            return
        self._step(graph, x, states, last)
        if every:
            graph.op("Unsqueeze", last[0], graph.constant([0]), to=every)  # (1, 1, N, H)

    def _step(
        self, graph: GraphBuilder, x: str, states: Sequence[str], to: Sequence[str]
    ) -> Sequence[str]:
        """Return the next states `(1, N, H)`, called `to`."""
        h = self._product(graph, states[0], self.r, self.r_name, self._biases()[1])
        return self.cell.write(graph, x, h, states, len(self.r), to)

    def _scan(self, x: str, states: Sequence[str], every: str, last: Sequence[str]) -> None:
        """Write a loop over frames, which returns states in the operator's own shapes."""
        shape: list[Dimension] = [1, "streams", len(self.r)]
        body = GraphBuilder(f"{x}_")
        before = [body.input(f"{x}_state_{i}", "float32", shape) for i in range(len(states))]
        gates = body.input(f"{x}_frame", "float32", ["streams", self.w.shape[1]])
        after = self._step(body, gates, before, [""] * len(states))
        for name in (*after, body.op("Identity", after[0])):
            body.output(name, "float32", shape)
        outputs = (*last, every or f"{x}_every")  # of a Scan, states come first
        self.graph.ops("Scan", *states, x, to=outputs, body=body.graph("step"), num_scan_inputs=1)

    def _biases(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return what is added to either product; the second is none where the first has both."""
        w, r = np.split(self.b, 2)
        return (w + r, None) if self.cell.one_bias else (w, r)

    def _product(
        self,
        graph: GraphBuilder,
        x: str,
        weights: NDArray[np.float32],
        name: str,
        bias: NDArray[np.float32] | None,
    ) -> str:
        product = graph.op("MatMul", x, graph.constant(weights, name))
        return product if bias is None else graph.op("Add", product, graph.constant(bias))

    def _zeros(self, x: str) -> str:
        """Return the state `(1, N, H)` that an operator without one starts from."""
        graph = self.graph
        streams = graph.op("Gather", graph.op("Shape", x), graph.constant([1]))
        one, hidden = graph.constant([1]), graph.constant([len(self.r)])
        return graph.op("ConstantOfShape", graph.op("Concat", one, streams, hidden, axis=0))


def _without(graph: "GraphProto", apart: Sequence[bool]) -> set[str]:
    """Remove all nodes, and the constants that only those `apart` read; return the names left."""
    gone = {name for node, go in zip(graph.node, apart, strict=True) if go for name in node.input}
    staying = [node for node, go in zip(graph.node, apart, strict=True) if not go]
    del graph.node[:]
    graph.node.extend(staying)
    used = {name for node in all_nodes(graph) for name in (*node.input, *node.output)}
    used |= {item.name for item in (*graph.input, *graph.output)}
    kept = [item for item in graph.initializer if item.name in used or item.name not in gone]
    del graph.node[:], graph.initializer[:]
    graph.initializer.extend(kept)
    return used


def _can_be_taken_apart(node: "NodeProto", constants: Mapping[str, Any]) -> bool:
    cell = _CELLS.get(node.op_type)
    if cell is None or node.domain:
        return False
    read = require("onnx").helper.get_attribute_value
    found = {item.name: read(item) for item in node.attribute if item.name != "hidden_size"}
    inputs = [*node.input, *[""] * (1 + _PEEPHOLES)]
    return (
        all(name in found for name in cell.required)
        and all(value in cell.supported.get(name, ()) for name, value in found.items())
        and all(name in constants for name in inputs[1:4])
        and not inputs[_LENGTHS]
        and not inputs[_PEEPHOLES]
    )


def _one_frame_long(model: "ModelProto") -> frozenset[str]:
    """Return the values whose first dimension is known to be 1."""
    graph = require("onnx").shape_inference.infer_shapes(model).graph
    return frozenset(
        value.name
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_value == 1
    )
