"""Recurrent layers as ONNX's own operators, which is what ONNX Runtime quantizes best.

The states are one tensor a layer and kind, not a stack: a stack costs a Split and a Concat in
every step. Each layer stays one node; where int8 needs products, `edgeseq.quantize.apart` takes it
apart.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.export.ends import Size
from edgeseq.graph.build import GraphBuilder

if TYPE_CHECKING:
    from torch import Tensor, nn


class Recurrent:
    """Writes the layers of an `nn.LSTM` or `nn.GRU` into a graph; keeps the states they declare.

    With exactly one frame a call there is a node less a layer.
    """

    def __init__(
        self, graph: GraphBuilder, size: Size, layers: "nn.LSTM | nn.GRU", *, stateful: bool
    ) -> None:
        self.graph, self.size, self.layers, self.stateful = graph, size, layers, stateful
        self.kind, self.letters, self.order = _KINDS[type(layers).__name__]
        self.one_frame = stateful and size.frames == 1
        self.axis = "" if self.one_frame else graph.constant([1], "directions")
        self.states: list[State] = []

    def write(self, x: str, layer: int, named: int | None = None) -> str:
        """Map `(T, N, I)` to the hidden states `(T, N, H)` of `layer`, `named` so in the graph."""
        graph = self.graph
        name = layer if named is None else named
        before, after = [], []
        if self.stateful:
            for letter in self.letters:
                state = _state(letter, name, self.layers.hidden_size)
                before.append(graph.input(state.input, state.dtype, self.size.of(state)))
                after.append(state.output)
                self.states.append(state)
        attributes = {"linear_before_reset": 1} if self.kind == "GRU" else {}
        outputs = graph.ops(
            self.kind,
            x,
            *self._parameters(layer, name),
            *([""] if before else []),  # no sequence lengths: every stream has T frames
            *before,
            to=["" if self.one_frame else f"hidden_{name}", *after],
            hidden_size=self.layers.hidden_size,
            **attributes,  # reset what the weights made, as PyTorch and cuDNN
        )
        for state in self.states[len(self.states) - len(after) :]:
            graph.output(state.output, state.dtype, self.size.of(state))
        # Of one frame the next hidden state (1, N, H) is all there is to pass on: a node less.
        return after[0] if self.one_frame else graph.op("Squeeze", outputs[0], self.axis)

    def _parameters(self, layer: int, name: int) -> tuple[str, str, str]:
        """Return input weights, recurrent weights and biases in ONNX's order of gates."""

        def get(kind: str) -> NDArray[np.float32]:
            weight: Tensor = getattr(self.layers, f"{kind}_l{layer}")
            gates = np.split(weight.detach().numpy(), len(self.order))
            return np.concatenate([gates[index] for index in self.order])

        graph = self.graph
        return (
            graph.constant(get("weight_ih")[None], f"W{name}"),  # (1, G H, I)
            graph.constant(get("weight_hh")[None], f"R{name}"),  # (1, G H, H)
            graph.constant(np.concatenate([get("bias_ih"), get("bias_hh")])[None], f"B{name}"),
        )


_KINDS = {
    "LSTM": ("LSTM", "hc", (0, 3, 1, 2)),  # PyTorch's i, f, c, o → ONNX's i, o, f, c
    "GRU": ("GRU", "h", (1, 0, 2)),  # PyTorch's reset, update, new → ONNX's update, reset, hidden
}


def _state(letter: str, layer: int, hidden: int) -> State:
    return State(
        input=f"{letter}{layer}",
        output=f"next_{letter}{layer}",
        shape=("1", "N", str(hidden)),
        dtype="float32",
        meaning=f"{'hidden' if letter == 'h' else 'cell'} state of layer {layer}",
        in_place=True,  # the operator copies the state before it writes the next
    )
