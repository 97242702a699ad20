"""A family's network between what a sensor gives and what a task asks for."""

from typing import Any

import torch
from torch import Tensor, nn

from edgeseq.contract import Form
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
        if vocabulary:
            self.tokens = nn.Embedding(vocabulary, spec.token_size)
        body: Any = load_family(spec.family).body
        self.body = body(spec, spec.token_size if vocabulary else inputs, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Map raw frames `(N, T, F)` to outputs `(N, T, C)`; the state starts empty."""
        outputs: Tensor = self.body(self.normalised(frames))
        outputs = outputs * self.output_std + self.output_mean
        if self.residual_of is not None:
            outputs = outputs + frames[..., self.residual_of, None]
        return outputs

    def normalised(self, frames: Tensor) -> Tensor:
        """Return what the body is fed: tokens embedded, or values of zero mean, unit variance."""
        if self.vocabulary:
            embedded: Tensor = self.tokens(frames[..., 0].long())
            return embedded
        return (frames - self.input_mean) / self.input_std

    def final_state(self, frames: Tensor, form: Form = "step") -> dict[str, Tensor]:
        """Return the state after raw frames `(N, T, F)`, by the names of the contract."""
        states: dict[str, Tensor] = self.body.state_after(self.normalised(frames), form)
        return states
