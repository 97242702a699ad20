"""A compact LSTM: stacked recurrent layers and a linear head.

With a projection the hidden state has fewer values than the cell (Sak et al. 2014,
arXiv:1402.1128): the weights that read it, which are most of them, are so much smaller.

Sizes: N streams, T frames, F values per frame, H hidden units, P values of the hidden state (H
without a projection), C outputs.
"""

import warnings
from dataclasses import asdict, dataclass
from typing import Self

from torch import Tensor, nn

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.models.family import Body, Family
from edgeseq.models.recurrent import RecurrentSpec, write_recurrent
from edgeseq.models.sizes import check_sizes


@dataclass(frozen=True)
class LSTMSpec(RecurrentSpec):
    """Sizes of an LSTM."""

    family = "lstm"
    noun = "an LSTM"
    gates = 4

    projection: int = 0
    """Values that a hidden state is projected to, fewer than `hidden`; 0: it is not."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        sizes = asdict(self)
        projection = sizes.pop("projection")
        mistake = f"projection: {projection} is neither 0 nor below hidden: {self.hidden}"
        check_sizes(self.family, sizes, () if 0 <= projection < self.hidden else (mistake,))

    @property
    def values(self) -> int:
        """Values of a hidden state, which a layer passes on."""
        return self.projection or self.hidden

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters; a projection has no bias."""
        projections = self.layers * self.hidden * self.projection
        return super().parameters(inputs, outputs) + projections

    @classmethod
    def sized(
        cls, parameters: int, inputs: int, outputs: int, context: int = 64, projection: int = 0
    ) -> Self:
        """Return the largest two-layer model with at most `parameters`; see `Spec.sized`."""
        del context  # its state may remember anything
        least = max(projection, 0) + 1
        return cls._largest(parameters, inputs, outputs, least, projection=projection)


class LSTM(Body):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from a zero state."""

    def __init__(self, spec: LSTMSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            inputs,
            spec.hidden,
            spec.layers,
            batch_first=True,
            dropout=spec.dropout if spec.layers > 1 else 0.0,
            proj_size=spec.projection,
        )
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(spec.values, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        hidden, _ = self._run(frames)  # (N, T, P)
        outputs: Tensor = self.head(self.dropout(hidden))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        _, (hidden, cell) = self._run(frames)  # (L, N, P) and (L, N, H)
        states = {}
        for layer in range(len(hidden)):
            states[f"h{layer}"] = hidden[layer : layer + 1]
            states[f"c{layer}"] = cell[layer : layer + 1]
        return states

    def _run(self, frames: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run the layers; that PyTorch takes its own kernel for projections is no news."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            result: tuple[Tensor, tuple[Tensor, Tensor]] = self.lstm(frames)
        return result

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph; the layers' states are its own."""
        del newest  # no newer operator makes it faster
        return write_recurrent(ends, self.lstm, self.head, stateful=form == "step")


FAMILY = Family(LSTMSpec, LSTM)
