"""Model families. A family is one readable file and one line in `FAMILIES`."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgeseq.models.gru import GRU, GRUSpec
from edgeseq.models.lstm import LSTM, LSTMSpec
from edgeseq.models.transformer import Transformer, TransformerSpec

__all__ = [
    "FAMILIES",
    "Family",
    "GRUSpec",
    "LSTMSpec",
    "SequenceModel",
    "Spec",
    "TransformerSpec",
    "family_of",
]

Spec = LSTMSpec | GRUSpec | TransformerSpec


@dataclass(frozen=True)
class Family:
    """What makes up a model family."""

    spec: type[LSTMSpec] | type[GRUSpec] | type[TransformerSpec]
    module: type[LSTM] | type[GRU] | type[Transformer]
    summary: str


FAMILIES = {
    "lstm": Family(LSTMSpec, LSTM, "recurrent; state is one hidden and one cell vector a layer"),
    "gru": Family(GRUSpec, GRU, "recurrent; state is one hidden vector a layer"),
    "transformer": Family(
        TransformerSpec, Transformer, "causal windowed attention; state is a ring of keys, values"
    ),
}


def family_of(spec: Spec) -> str:
    """Return the name of the family that `spec` describes."""
    return next(name for name, family in FAMILIES.items() if isinstance(spec, family.spec))


class SequenceModel(nn.Module):
    """A family's module between raw units: frames in sensor units, outputs in the task's.

    The normalisation constants are buffers, so they travel with the weights into the graph.
    """

    input_mean: Tensor
    input_std: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(
        self, spec: Spec, inputs: int, outputs: int, residual_of: int | None = None
    ) -> None:
        super().__init__()
        self.spec, self.residual_of = spec, residual_of
        module = FAMILIES[family_of(spec)].module
        self.body = module(spec, inputs, outputs)  # type: ignore[arg-type] # paired in FAMILIES
        self.register_buffer("input_mean", torch.zeros(inputs))
        self.register_buffer("input_std", torch.ones(inputs))
        self.register_buffer("output_mean", torch.zeros(outputs))
        self.register_buffer("output_std", torch.ones(outputs))

    def forward(self, frames: Tensor) -> Tensor:
        """Map raw frames `(N, T, F)` to outputs `(N, T, C)`; the state starts empty."""
        outputs: Tensor = self.body((frames - self.input_mean) / self.input_std)
        outputs = outputs * self.output_std + self.output_mean
        if self.residual_of is not None:
            outputs = outputs + frames[..., self.residual_of, None]
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after raw frames `(N, T, F)`, by the names of the contract."""
        return self.body.final_state((frames - self.input_mean) / self.input_std)
