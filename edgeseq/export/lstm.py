"""LSTM weights → ONNX graph, with ONNX's own `LSTM` operator.

The states are one tensor a layer and kind, not a stack: a stack costs a Split and a Concat in
every step. The operator survives as one node, which is what ONNX Runtime quantizes best.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.export.graph import PORTABLE, Built, Size, denormalised_head, normalised_frames
from edgeseq.graph.build import GraphBuilder

if TYPE_CHECKING:
    from torch import Tensor

    from edgeseq.models import SequenceModel
    from edgeseq.models.lstm import LSTMSpec


def build(model: "SequenceModel", spec: "LSTMSpec", size: Size, *, stateful: bool) -> Built:
    """Build the graph; `stateful` makes it the step graph, else each call starts at zero.

    With exactly one frame a call (`size.frames == 1`) it has a node less a layer.
    """
    graph = GraphBuilder()
    weights = model.state_dict()
    x = normalised_frames(graph, model, size)  # (N, T, F)
    x = graph.op("Transpose", x, perm=[1, 0, 2])  # the operator wants (T, N, F)
    one_frame = stateful and size.frames == 1
    axis = "" if one_frame else graph.constant([1], "directions")
    states: list[State] = []
    for layer in range(spec.layers):
        pair = list(_states(layer, spec.hidden)) if stateful else []
        for state in pair:
            graph.input(state.input, state.dtype, size.of(state))
        outputs = graph.ops(
            "LSTM",
            x,
            *_parameters(graph, weights, layer),
            "",  # no sequence lengths: every stream has T frames
            *(state.input for state in pair),
            to=["" if one_frame else f"hidden_{layer}", *(state.output for state in pair)],
            hidden_size=spec.hidden,
        )
        for state in pair:
            graph.output(state.output, state.dtype, size.of(state))
        # Of one frame the next hidden state (1, N, H) is all there is to pass on: a node less.
        x = pair[0].output if one_frame else graph.op("Squeeze", outputs[0], axis)  # (T, N, H)
        states += pair
    y = denormalised_head(graph, model, x, weights["body.head.weight"], weights["body.head.bias"])
    y = graph.op("Transpose", y, perm=[1, 0, 2])  # (N, T, C)
    return Built(graph, y, tuple(states), PORTABLE)


def _states(layer: int, hidden: int) -> tuple[State, State]:
    def state(letter: str, meaning: str) -> State:
        return State(
            input=f"{letter}{layer}",
            output=f"next_{letter}{layer}",
            shape=("1", "N", str(hidden)),
            dtype="float32",
            meaning=f"{meaning} of layer {layer}",
            in_place=True,  # the operator copies the state before it writes the next
        )

    return state("h", "hidden state"), state("c", "cell state")


def _parameters(
    graph: GraphBuilder, weights: "dict[str, Tensor]", layer: int
) -> tuple[str, str, str]:
    """Return input weights, recurrent weights and biases in ONNX's order of gates."""

    def get(name: str) -> NDArray[np.float32]:
        array: NDArray[np.float32] = weights[f"body.lstm.{name}_l{layer}"].numpy()
        return _gates_iofc(array)

    return (
        graph.constant(get("weight_ih")[None], f"W{layer}"),  # (1, 4 H, F)
        graph.constant(get("weight_hh")[None], f"R{layer}"),  # (1, 4 H, H)
        graph.constant(np.concatenate([get("bias_ih"), get("bias_hh")])[None], f"B{layer}"),
    )


def _gates_iofc(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder PyTorch's gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    i, f, c, o = np.split(array, 4)
    return np.concatenate([i, o, f, c])
