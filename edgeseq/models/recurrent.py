"""Sizes of the recurrent families: stacked layers of gates, and a linear head."""

from dataclasses import asdict, dataclass
from typing import ClassVar, Self

from edgeseq.errors import UsageError
from edgeseq.models.family import Spec
from edgeseq.models.sizes import check_sizes


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
        hidden = 1
        while cls(hidden + 1).parameters(inputs, outputs) <= parameters:
            hidden += 1
        if cls(hidden).parameters(inputs, outputs) > parameters:
            raise UsageError(
                f"{cls.noun} with {inputs} inputs and {outputs} outputs cannot have only "
                f"{parameters} parameters; try --params {cls(2).parameters(inputs, outputs)}"
            )
        return cls(hidden)
