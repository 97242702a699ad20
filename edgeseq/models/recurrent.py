"""What the recurrent families share, stacked layers of gates and a linear head: sizes, graph."""

from dataclasses import asdict, dataclass
from typing import ClassVar, Self

from torch import nn

from edgeseq.export.ends import Built, Ends
from edgeseq.export.recurrent import Recurrent
from edgeseq.models.family import Spec
from edgeseq.models.sizes import check_sizes, largest, too_few


@dataclass(frozen=True)
class RecurrentSpec(Spec):
    """Sizes of a recurrent model; a family adds its cell."""

    noun: ClassVar[str]
    """As in a sentence, with its article."""
    gates: ClassVar[int]
    """Vectors that a cell computes from its input and from its hidden state."""

    hidden: int
    layers: int = 2
    dropout: float = 0.2
    """Between layers and before the head, while training."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        check_sizes(self.family, asdict(self))

    @property
    def values(self) -> int:
        """Values of a hidden state, which a layer passes on."""
        return self.hidden

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters: every gate with two biases as in cuDNN."""
        gates = sum(
            self.gates * self.hidden * ((inputs if layer == 0 else self.values) + self.values + 2)
            for layer in range(self.layers)
        )
        return gates + (self.values + 1) * outputs

    @classmethod
    def sized(cls, parameters: int, inputs: int, outputs: int, context: int = 64) -> Self:
        """Return the largest two-layer model with at most `parameters` parameters."""
        del context  # its state may remember anything
        return cls._largest(parameters, inputs, outputs)

    @classmethod
    def _largest(
        cls, parameters: int, inputs: int, outputs: int, least: int = 1, **sizes: int
    ) -> Self:
        """Return the model of most hidden units, `least` of them or more, with `sizes` besides."""

        def count(hidden: int) -> int:
            return cls(hidden, **sizes).parameters(inputs, outputs)

        hidden = largest(count, parameters, least)
        if hidden < least:
            what = f"{cls.noun} with {inputs} inputs and {outputs} outputs"
            raise too_few(what, parameters, count(least + 1))
        return cls(hidden, **sizes)


def write_recurrent(
    ends: Ends, layers: nn.LSTM | nn.GRU, head: nn.Linear, *, stateful: bool
) -> Built:
    """Write the graph of layers and head: one operator a layer, whose states are the graph's."""
    graph = ends.graph
    x = graph.op("Transpose", ends.frames(), perm=[1, 0, 2])  # the operator wants (T, N, I)
    recurrent = Recurrent(graph, ends.size, stateful=stateful)
    x = recurrent.write(x, layers)  # (T, N, H)
    y = ends.head(x, head.weight, head.bias)
    return Built(graph.op("Transpose", y, perm=[1, 0, 2]), tuple(recurrent.states))
