"""A compact GRU: stacked recurrent layers and a linear head.

Sizes: N streams, T frames, F values per frame, H hidden units, C outputs.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.models.family import Body, Family
from edgeseq.models.recurrent import RecurrentSpec, write_recurrent


@dataclass(frozen=True)
class GRUSpec(RecurrentSpec):
    """Sizes of a GRU."""

    family = "gru"
    noun = "a GRU"
    gates = 3


class GRU(Body):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from a zero state."""

    def __init__(self, spec: GRUSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gru = nn.GRU(
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
        hidden, _ = self.gru(frames)  # (N, T, H)
        outputs: Tensor = self.head(self.dropout(hidden))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        _, hidden = self.gru(frames)  # (L, N, H)
        return {f"h{layer}": hidden[layer : layer + 1] for layer in range(len(hidden))}

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: one operator a layer, whose states are the graph's."""
        del newest  # no newer operator makes it faster
        return write_recurrent(ends, self.gru, self.head, stateful=form == "step")


FAMILY = Family(GRUSpec, GRU)
