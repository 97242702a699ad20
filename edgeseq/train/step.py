"""One step of training: outputs, loss, gradients, and the optimizer's move."""

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from edgeseq.contract import Frame, Output, predicts_next_token
from edgeseq.models import SequenceModel
from edgeseq.train.loss import classification_loss, frame_loss, regression_loss
from edgeseq.train.settings import FitSettings


class Learner:
    """A model with its optimizer and its loss."""

    def __init__(
        self,
        model: SequenceModel,
        settings: FitSettings,
        frame: Frame,
        output: Output,
        forward: SequenceModel | None = None,
    ) -> None:
        """Take `model` as it is, with a new optimizer.

        Args:
            model: its parameters learn.
            settings: learning rate, decay, clipping, and what the loss asks for.
            frame: what the model is fed.
            output: what it returns.
            forward: computes the outputs on the model's parameters; none: the model.
        """
        self.model, self.forward = model, forward or model
        self.optimizer = _optimizer(model, settings)
        self._settings, self._frame, self._output = settings, frame, output

    def learn(self, frames: Tensor, target: Tensor, rate: float = 1.0) -> float:
        """Learn from frames `(N, T, F)` at `rate` times the peak learning rate; return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._settings.lr * rate
        loss = self._loss(*self.asked(self.forward(frames), target))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.model.parameters(), self._settings.clip)
        self.optimizer.step()
        return loss.item()

    def asked(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs that were asked for, and what each of them describes."""
        asked, delay = self.forward.body.asked, self.model.spec.delay
        if asked is None and not delay:
            return outputs, target
        if asked is None:
            asked = torch.arange(outputs.shape[1], device=outputs.device)
        return outputs[:, asked], target[:, (asked - delay).clamp(min=0)]

    def _loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        settings = self._settings
        if self._output.kind == "value":
            return regression_loss(outputs, target, self.model.output_std, skip=settings.skip)
        each_frame = predicts_next_token(self._frame, self._output)
        loss = frame_loss if each_frame else classification_loss
        return loss(outputs, target, label_smoothing=settings.label_smoothing, skip=settings.skip)


def _optimizer(model: SequenceModel, settings: FitSettings) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) that decays only matrices."""
    matrices = [value for value in model.parameters() if value.ndim >= 2]
    vectors = [value for value in model.parameters() if value.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98), fused=True)
