"""A compact LSTM: stacked recurrent layers and a linear head.

Sizes: N streams, T frames, F values per frame, H hidden units, C outputs.
"""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from edgeseq.errors import UsageError
from edgeseq.models.sizes import check_sizes


@dataclass(frozen=True)
class LSTMSpec:
    """Sizes of an LSTM."""

    hidden: int
    layers: int = 2
    dropout: float = 0.2
    """Between layers and before the head, while training."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        check_sizes("lstm", asdict(self))

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters: four gates, two biases each as in cuDNN."""
        gates = sum(
            4 * self.hidden * ((inputs if layer == 0 else self.hidden) + self.hidden + 2)
            for layer in range(self.layers)
        )
        return gates + (self.hidden + 1) * outputs

    @classmethod
    def sized(cls, parameters: int, inputs: int, outputs: int) -> "LSTMSpec":
        """Return the largest two-layer LSTM with at most `parameters` parameters."""
        hidden = 1
        while cls(hidden + 1).parameters(inputs, outputs) <= parameters:
            hidden += 1
        if cls(hidden).parameters(inputs, outputs) > parameters:
            raise UsageError(
                f"an LSTM with {inputs} inputs and {outputs} outputs cannot have only "
                f"{parameters} parameters; try --params {cls(2).parameters(inputs, outputs)}"
            )
        return cls(hidden)


class LSTM(nn.Module):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from a zero state."""

    def __init__(self, spec: LSTMSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            inputs,
            spec.hidden,
            spec.layers,
            batch_first=True,
            dropout=spec.dropout if spec.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(spec.hidden, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        hidden, _ = self.lstm(frames)  # (N, T, H)
        outputs: Tensor = self.head(self.dropout(hidden))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        _, (hidden, cell) = self.lstm(frames)  # (L, N, H) each
        states = {}
        for layer in range(len(hidden)):
            states[f"h{layer}"] = hidden[layer : layer + 1]
            states[f"c{layer}"] = cell[layer : layer + 1]
        return states
