"""What the graphs of all families share: frames in raw units at one end, a head at the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output, State
from edgeseq.graph.build import Dimension, GraphBuilder

if TYPE_CHECKING:
    from torch import Tensor

    from edgeseq.models import SequenceModel


@dataclass(frozen=True)
class Size:
    """The sizes of a graph's inputs and outputs; streams and frames may be symbolic."""

    frame: Frame
    output: Output
    streams: Dimension = "N"
    frames: Dimension = "T"

    def of(self, state: State) -> list[Dimension]:
        """Return the shape of a state tensor before a call."""
        known: dict[str, Dimension] = {"N": self.streams, "P": "P"}
        return [known[size] if size in known else int(size) for size in state.shape]

    def after(self, state: State) -> list[Dimension]:
        """Return the shape of a state tensor after a call."""
        return [f"P + {self.frames}" if size == "P" else size for size in self.of(state)]


@dataclass(frozen=True)
class Target:
    """A version of ONNX's operators and the oldest ONNX Runtime that was seen to run the graph."""

    opset: int
    min_onnxruntime: str


# Found by tests/benchmarks/oldest_onnxruntime.py.
PORTABLE = Target(17, "1.16.0")
NEWEST = Target(24, "1.25.0")


@dataclass(frozen=True)
class Built:
    """A graph that still needs its contract: its last value and the states it declared."""

    outputs: str
    states: tuple[State, ...]
    target: Target = PORTABLE
    period: int | None = None
    """As the contract's."""


class Ends:
    """Both ends of a model's graph, which a family's body writes itself between."""

    def __init__(self, model: "SequenceModel", size: Size) -> None:
        self.graph, self.size, self._model = GraphBuilder(), size, model

    def frames(self) -> str:
        """Declare the frame input and return it as the body is fed it, `(N, T, I)`.

        Subtract and divide stay nodes of their own. Folded into the first weights they would cost
        nothing in fp32, but int8 would then share one scale among channels of different units.
        """
        graph, model = self.graph, self._model
        if model.vocabulary:
            return self.looked_up(graph.constant(model.tokens.weight.detach().numpy(), "tokens"))
        x = self._input()
        mean, std = model.input_mean.numpy(), model.input_std.numpy()
        if np.any(mean != 0) or np.any(std != 1):
            x = graph.op("Sub", x, graph.constant(mean, "input_mean"))
            x = graph.op("Div", x, graph.constant(std, "input_std"))
        return x

    def looked_up(self, table: str) -> str:
        """Declare the frame input, tokens; return their rows of `table` `(V, I)`: `(N, T, I)`."""
        graph = self.graph
        token = graph.op("Squeeze", self._input(), graph.constant([2], "token_axis"))
        return graph.op("Gather", table, graph.integers(token), axis=0)

    def _input(self) -> str:
        size = self.size
        shape = [size.streams, size.frames, size.frame.size]
        return self.graph.input(size.frame.name, "float32", shape)

    def head(self, x: str, weight: "Tensor", bias: "Tensor | None") -> str:
        """Map `(..., H)` to outputs `(..., C)` in the task's units: their scale is in the weights.

        The bias is `(1, 1, C)`: with `(C,)` ONNX Runtime fuses a Gemm and reshapes around it.
        """
        graph = self.graph
        std = self._model.output_std.double().numpy()
        offset = self._model.output_mean.double().numpy()
        if bias is not None:
            offset = offset + _array(bias) * std
        y = graph.op("MatMul", x, graph.constant(_array(weight).T * std, "head"))
        if np.any(offset != 0):
            y = graph.op("Add", y, graph.constant(offset[None, None], "head_bias"))
        return y

    def finish(self, y: str) -> None:
        """Add the residual of a forecast, if any, and declare the output."""
        graph, size, now = self.graph, self.size, self._model.residual_of
        if now is not None:
            current = graph.op("Gather", size.frame.name, graph.constant([now], "current"), axis=2)
            y = graph.op("Add", y, current)  # (N, T, 1) spreads over C
        graph.op("Identity", y, to=size.output.name)
        shape = [size.streams, size.frames, len(size.output.labels)]
        graph.output(size.output.name, "float32", shape)


def _array(tensor: "Tensor") -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().double().numpy()
    return array
