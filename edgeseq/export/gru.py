"""GRU weights → ONNX graph, with ONNX's own `GRU` operator.

As in the LSTM's graph the states are one tensor a layer. The operator stays one node here; for
int8, which ONNX Runtime's GRU does not have, `edgeseq.quantize.apart` takes it apart.
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
    from edgeseq.models.gru import GRUSpec


def build(model: "SequenceModel", spec: "GRUSpec", size: Size, *, stateful: bool) -> Built:
    """Build the graph; `stateful` makes it the step graph, else each call starts at zero.

    With exactly one frame a call (`size.frames == 1`) it has a node less a layer.
    """
    graph = GraphBuilder()
    weights = model.state_dict()
    x = normalised_frames(graph, model, size)  # (N, T, F)
    x = graph.op("Transpose", x, perm=[1, 0, 2])  # the operator wants (T, N, F)
    one_frame = stateful and size.frames == 1
    axis = "" if one_frame else graph.constant([1], "directions")
    states = tuple(_state(layer, spec.hidden) for layer in range(spec.layers)) if stateful else ()
    for state in states:
        graph.input(state.input, state.dtype, size.of(state))
    for layer in range(spec.layers):
        # No sequence lengths: every stream has T frames.
        before = ("", states[layer].input) if stateful else ()
        after = (states[layer].output,) if stateful else ()
        outputs = graph.ops(
            "GRU",
            x,
            *_parameters(graph, weights, layer),
            *before,
            to=["" if one_frame else f"hidden_{layer}", *after],
            hidden_size=spec.hidden,
            linear_before_reset=1,  # as PyTorch and cuDNN: reset what the weights made
        )
        # Of one frame the next hidden state (1, N, H) is all there is to pass on: a node less.
        x = outputs[1] if one_frame else graph.op("Squeeze", outputs[0], axis)  # (T, N, H)
    for state in states:
        graph.output(state.output, state.dtype, size.of(state))
    y = denormalised_head(graph, model, x, weights["body.head.weight"], weights["body.head.bias"])
    y = graph.op("Transpose", y, perm=[1, 0, 2])  # (N, T, C)
    return Built(graph, y, states, PORTABLE)


def _state(layer: int, hidden: int) -> State:
    return State(
        input=f"h{layer}",
        output=f"next_h{layer}",
        shape=("1", "N", str(hidden)),
        dtype="float32",
        meaning=f"hidden state of layer {layer}",
        in_place=True,  # the operator copies the state before it writes the next
    )


def _parameters(
    graph: GraphBuilder, weights: "dict[str, Tensor]", layer: int
) -> tuple[str, str, str]:
    """Return input weights, recurrent weights and biases in ONNX's order of gates."""

    def get(name: str) -> NDArray[np.float32]:
        array: NDArray[np.float32] = weights[f"body.gru.{name}_l{layer}"].numpy()
        return _gates_zrh(array)

    return (
        graph.constant(get("weight_ih")[None], f"W{layer}"),  # (1, 3 H, F)
        graph.constant(get("weight_hh")[None], f"R{layer}"),  # (1, 3 H, H)
        graph.constant(np.concatenate([get("bias_ih"), get("bias_hh")])[None], f"B{layer}"),
    )


def _gates_zrh(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder PyTorch's gates (reset, update, new) to ONNX's (update, reset, hidden)."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])
