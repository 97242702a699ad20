"""Recurrent layers as products and gates, where ONNX's own operator does not do.

A layer is two products: of the input weights with all frames at once, and of the recurrent weights
with the hidden state in every step, the gates side by side in each. A third one may project what
the gates give (Sak et al. 2014, arXiv:1402.1128). Each can be quantized as if it stood alone.
Exactly one frame a call is straight-line code; for any other number a `Scan` goes from frame to
frame.

Every state may be written in place: the last node that writes one waits for all that read it.

Sizes: N streams, T frames, I values a frame, G gates of H hidden units, P values of the hidden
state, which are H without a projection.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseq.graph.build import Dimension, GraphBuilder

Array = NDArray[np.float32]
Gates = Callable[[GraphBuilder, str, str, Sequence[str], int, Sequence[str]], Sequence[str]]
"""Writes one step: graph, the two products, states, hidden units → next states, called as asked."""


@dataclass(frozen=True)
class Cell:
    """What is particular to a kind of layer."""

    gates: int
    states: int
    write: Gates
    one_bias: bool
    """Whether the biases of both products are only ever added up."""


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


LSTM = Cell(gates=4, states=2, write=_lstm, one_bias=True)
GRU = Cell(gates=3, states=1, write=_gru, one_bias=False)


@dataclass(frozen=True)
class Weight:
    """A matrix and what it is called in the graph."""

    name: str
    values: Array


@dataclass(frozen=True)
class Layer:
    """One layer on its way into nodes; gates come in ONNX's order."""

    cell: Cell
    b: Array
    """The biases of both products, one after the other, `(2 G H,)`."""
    w: Weight
    """Input weights `(I, G H)`."""
    r: Weight
    """Recurrent weights `(P, G H)`."""
    p: Weight | None = None
    """Projection `(H, P)`, or none."""

    @property
    def hidden(self) -> int:
        """Hidden units `H`."""
        return int(self.w.values.shape[1] // self.cell.gates)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of each state: `P`, then `H`."""
        return (len(self.r.values), self.hidden)[: self.cell.states]

    def write(
        self,
        graph: GraphBuilder,
        x: str,
        states: Sequence[str],
        every: str,
        last: Sequence[str],
        *,
        one_frame: bool,
    ) -> None:
        """Write the layer.

        Args:
            graph: where to.
            x: frames `(T, N, I)`.
            states: those before, `(1, N, P)` and `(1, N, H)`; empty: zeros.
            every: what to call all hidden states `(T, 1, N, P)`; empty: nobody reads them.
            last: what to call the states after; empty: nobody reads that one.
            one_frame: T is 1, always.
        """
        gates = _product(graph, x, self.w, self._biases()[0])
        given = [
            state or _zeros(graph, gates, size)
            for state, size in zip(states, self.sizes, strict=True)
        ]
        after = [name or f"{gates}_last_{index}" for index, name in enumerate(last)]
        if not one_frame:
            self._scan(graph, gates, given, every, after)
            return
        self._step(graph, gates, given, after)
        if every:
            graph.op("Unsqueeze", after[0], graph.constant([0]), to=every)  # (1, 1, N, P)

    def _step(
        self, graph: GraphBuilder, x: str, states: Sequence[str], to: Sequence[str]
    ) -> Sequence[str]:
        """Return the next states, called `to`."""
        h = _product(graph, states[0], self.r, self._biases()[1])
        if self.p is None:
            return self.cell.write(graph, x, h, states, self.hidden, to)
        wide, *others = self.cell.write(graph, x, h, states, self.hidden, ("", *to[1:]))
        return _product(graph, wide, self.p, None, to=to[0]), *others

    def _scan(
        self, graph: GraphBuilder, x: str, states: Sequence[str], every: str, last: Sequence[str]
    ) -> None:
        """Write a loop over frames, which returns states in the operator's own shapes."""
        shapes: list[list[Dimension]] = [[1, "streams", size] for size in self.sizes]
        body = GraphBuilder(f"{x}_")
        before = [body.input(f"{x}_state_{i}", "float32", s) for i, s in enumerate(shapes)]
        gates = body.input(f"{x}_frame", "float32", ["streams", self.w.values.shape[1]])
        after = self._step(body, gates, before, [""] * len(states))
        shown = body.op("Identity", after[0])
        for name, shape in zip((*after, shown), (*shapes, shapes[0]), strict=True):
            body.output(name, "float32", shape)
        outputs = (*last, every or f"{x}_every")  # of a Scan, states come first
        graph.ops("Scan", *states, x, to=outputs, body=body.graph("step"), num_scan_inputs=1)

    def _biases(self) -> tuple[Array, Array | None]:
        """Return what is added to either product; the second is none where the first has both."""
        w, r = np.split(self.b, 2)
        return (w + r, None) if self.cell.one_bias else (w, r)


def _product(graph: GraphBuilder, x: str, weight: Weight, bias: Array | None, to: str = "") -> str:
    product = graph.op("MatMul", x, graph.constant(weight.values, weight.name), to=to)
    return product if bias is None else graph.op("Add", product, graph.constant(bias))


def _zeros(graph: GraphBuilder, x: str, size: int) -> str:
    """Return the state `(1, N, size)` that a layer without one starts from; x is `(T, N, ...)`."""
    streams = graph.op("Gather", graph.op("Shape", x), graph.constant([1]))
    shape = graph.op("Concat", graph.constant([1]), streams, graph.constant([size]), axis=0)
    return graph.op("ConstantOfShape", shape)
