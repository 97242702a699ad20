"""Sizes of the recurrent families: stacked layers of gates, and a linear head."""

from bisect import bisect_right
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
        return cls._largest(parameters, inputs, outputs)

    @classmethod
    def _largest(
        cls, parameters: int, inputs: int, outputs: int, least: int = 1, **sizes: int
    ) -> Self:
        """Return the model of most hidden units, `least` of them or more, with `sizes` besides."""

        def count(hidden: int) -> int:
            return cls(hidden, **sizes).parameters(inputs, outputs)

        if count(least) > parameters:
            raise UsageError(
                f"{cls.noun} with {inputs} inputs and {outputs} outputs cannot have only "
                f"{parameters} parameters; try --params {count(least + 1)}"
            )
        fitting = bisect_right(range(least, parameters + 1), parameters, key=count)
        return cls(least + fitting - 1, **sizes)
