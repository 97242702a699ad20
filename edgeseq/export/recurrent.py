"""Recurrent layers as ONNX's own operators, which is what ONNX Runtime quantizes best.

The states are one tensor a layer and kind, not a stack: a stack costs a Split and a Concat in
every step. Each layer stays one node; where int8 needs products, `edgeseq.quantize.apart` takes it
apart. Only an LSTM with a projection is products from the start: ONNX has no operator for it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.export.ends import Size
from edgeseq.graph import gates
from edgeseq.graph.build import GraphBuilder
from edgeseq.graph.gates import Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[np.float32]


class Recurrent:
    """Writes the layers of `nn.LSTM`s and `nn.GRU`s into a graph; keeps the states they declare.

    Layers are numbered through the graph, whatever module they belong to: `W0`, `R0`, `h0`. With
    exactly one frame a call there is a node less a layer.
    """

    def __init__(self, graph: GraphBuilder, size: Size, *, stateful: bool) -> None:
        self.graph, self.size, self.stateful = graph, size, stateful
        self.one_frame = stateful and size.frames == 1
        self.axis = "" if self.one_frame else graph.constant([1], "directions")
        self.states: list[State] = []
        self.count = 0
        """Layers that are written."""

    def write(self, x: str, layers: "nn.LSTM | nn.GRU") -> str:
        """Map `(T, N, I)` to the hidden states `(T, N, H)` of the last of `layers`."""
        for layer in range(layers.num_layers):
            x = self._write(x, layers, layer)
            self.count += 1
        return x

    def _write(self, x: str, layers: "nn.LSTM | nn.GRU", layer: int) -> str:
        """Write one layer and its states."""
        states = self._declared(layers) if self.stateful else []
        every = "" if self.one_frame else f"hidden_{self.count}"
        write = self._products if layers.proj_size else self._operator
        write(x, layers, layer, states, every)
        # Of one frame the next hidden state (1, N, H) is all there is to pass on: a node less.
        return states[0].output if self.one_frame else self.graph.op("Squeeze", every, self.axis)

    def _declared(self, layers: "nn.LSTM | nn.GRU") -> list[State]:
        """Make the layer's states inputs and outputs of the graph."""
        _, letters, _ = _KINDS[type(layers).__name__]
        sizes = {"h": layers.proj_size or layers.hidden_size, "c": layers.hidden_size}
        states = [_state(letter, self.count, sizes[letter]) for letter in letters]
        for state in states:
            self.graph.input(state.input, state.dtype, self.size.of(state))
            self.graph.output(state.output, state.dtype, self.size.of(state))
        self.states += states
        return states

    def _operator(
        self,
        x: str,
        layers: "nn.LSTM | nn.GRU",
        layer: int,
        states: Sequence[State],
        every: str,
    ) -> None:
        """Write a layer as one node."""
        kind, _, _ = _KINDS[type(layers).__name__]
        attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
        names = (f"{letter}{self.count}" for letter in "WRB")  # one direction: (1, G H, ...)
        arrays = (array[None] for array in _parameters(layers, layer))
        self.graph.ops(
            kind,
            x,
            *map(self.graph.constant, arrays, names),
            *([""] if states else []),  # no sequence lengths: every stream has T frames
            *(state.input for state in states),
            to=[every, *(state.output for state in states)],
            hidden_size=layers.hidden_size,
            **attributes,  # reset what the weights made, as PyTorch and cuDNN
        )

    def _products(
        self,
        x: str,
        layers: "nn.LSTM | nn.GRU",
        layer: int,
        states: Sequence[State],
        every: str,
    ) -> None:
        """Write a layer of an LSTM with a projection: as one node of ONNX there is none."""
        w, r, b = _parameters(layers, layer)
        projection: Tensor = getattr(layers, f"weight_hr_l{layer}")  # (P, H)
        arrays = {"W": w.T, "R": r.T, "P": projection.detach().numpy().T}
        weights = (Weight(f"{letter}{self.count}", array) for letter, array in arrays.items())
        written = gates.Layer(gates.LSTM, b, *weights)
        before = [state.input for state in states] or self._zeros(written.sizes)
        after = [state.output for state in states] or [""] * len(written.sizes)
        written.write(self.graph, x, before, every, after, one_frame=self.one_frame)

    def _zeros(self, sizes: Sequence[int]) -> Sequence[str]:
        """Return states to start a sequence from; empty: as many streams as there turn out."""
        streams = self.size.streams
        if isinstance(streams, str):
            return [""] * len(sizes)
        return [self.graph.constant(np.zeros((1, streams, size))) for size in sizes]


_KINDS = {
    "LSTM": ("LSTM", "hc", (0, 3, 1, 2)),  # PyTorch's i, f, c, o → ONNX's i, o, f, c
    "GRU": ("GRU", "h", (1, 0, 2)),  # PyTorch's reset, update, new → ONNX's update, reset, hidden
}


def _parameters(layers: "nn.LSTM | nn.GRU", layer: int) -> tuple[Array, Array, Array]:
    """Return input weights, recurrent weights and biases in ONNX's order of gates."""
    _, _, order = _KINDS[type(layers).__name__]

    def get(kind: str) -> Array:
        weight: Tensor = getattr(layers, f"{kind}_l{layer}")
        parts = np.split(weight.detach().numpy(), len(order))
        return np.concatenate([parts[index] for index in order])

    return (
        get("weight_ih"),  # (G H, I)
        get("weight_hh"),  # (G H, H), or as many columns as the projection has values
        np.concatenate([get("bias_ih"), get("bias_hh")]),
    )


def _state(letter: str, layer: int, size: int) -> State:
    return State(
        input=f"{letter}{layer}",
        output=f"next_{letter}{layer}",
        shape=("1", "N", str(size)),
        dtype="float32",
        meaning=f"{'hidden' if letter == 'h' else 'cell'} state of layer {layer}",
        in_place=True,  # what writes it waits for all that read it; the operator copies it first
    )
