"""A family's network between what a sensor gives and what a task asks for."""

from typing import Any

import torch
from torch import Tensor, nn

from edgeseq.contract import Form
from edgeseq.errors import UsageError
from edgeseq.models.family import Spec


class SequenceModel(nn.Module):
    """A body between raw units: frames in sensor units or tokens, outputs in the task's units.

    The normalisation constants are buffers, so they travel with the weights into the graph.
    """

    input_mean: Tensor
    input_std: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(
        self,
        spec: Spec,
        inputs: int,
        outputs: int,
        residual_of: int | None = None,
        vocabulary: int = 0,
    ) -> None:
        """Make a model with new weights.

        Args:
            spec: sizes of the body, and so its family.
            inputs: values a frame.
            outputs: values that are returned for a frame.
            residual_of: value of the frame that outputs are added to.
            vocabulary: tokens there are; 0: frames are no tokens.
        """
        from edgeseq.models import load_family

        super().__init__()
        self.spec, self.residual_of, self.vocabulary = spec, residual_of, vocabulary
        self.register_buffer("input_mean", torch.zeros(inputs))
        self.register_buffer("input_std", torch.ones(inputs))
        self.register_buffer("output_mean", torch.zeros(outputs))
        self.register_buffer("output_std", torch.ones(outputs))
        require_tokens(type(spec), vocabulary)
        if vocabulary:
            inputs = vocabulary if spec.takes_tokens else spec.token_size
        if vocabulary and not spec.takes_tokens:
            self.tokens = nn.Embedding(vocabulary, spec.token_size)
        body: Any = load_family(spec.family).body
        self.body = body(spec, inputs, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Map raw frames `(N, T, F)` to outputs `(N, T, C)`; the state starts empty."""
        outputs: Tensor = self.body(self.normalised(frames))
        outputs = outputs * self.output_std + self.output_mean
        if self.residual_of is not None:
            outputs = outputs + frames[..., self.residual_of, None]
        return outputs

    def normalised(self, frames: Tensor) -> Tensor:
        """Return what the body is fed: tokens, as it takes them, or values of unit variance."""
        if self.vocabulary:
            tokens = frames[..., 0].long()
            embedded: Tensor = tokens if self.spec.takes_tokens else self.tokens(tokens)
            return embedded
        return (frames - self.input_mean) / self.input_std

    def final_state(self, frames: Tensor, form: Form = "step") -> dict[str, Tensor]:
        """Return the state after raw frames `(N, T, F)`, by the names of the contract."""
        states: dict[str, Tensor] = self.body.state_after(self.normalised(frames), form)
        return states


def require_tokens(spec: type[Spec], vocabulary: int) -> None:
    """Refuse a family that takes nothing but tokens where frames are values."""
    if spec.takes_tokens and not vocabulary:
        raise UsageError(
            f"a model of the family {spec.family} continues tokens, and these frames are values; "
            "choose another --model, or a task of tokens, such as text"
        )
