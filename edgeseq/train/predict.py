"""A model as the function that `Task.score` judges."""

from dataclasses import dataclass

import torch

from edgeseq.models import SequenceModel
from edgeseq.tasks.base import Array, Predict, Step, replay


def predictor(model: SequenceModel, *, batch: int = 256) -> Predict:
    """Return `model` as a function of frames `(N, T, F)`, `batch` streams at a time.

    The model is put into evaluation mode for each call and then back into the mode it was in.
    """
    return _Predictor(model, batch)


@dataclass(frozen=True)
class _Predictor:
    model: SequenceModel
    batch: int

    def __call__(self, frames: Array) -> Array:
        """Map frames `(N, T, F)` to outputs `(N, T, C)`."""
        model = self.model
        training, device = model.training, model.input_mean.device
        model.eval()
        try:
            with torch.inference_mode():
                parts = torch.split(torch.from_numpy(frames), self.batch)
                return torch.cat([model(part.to(device)).cpu() for part in parts]).numpy()
        finally:
            model.train(training)

    def stepper(self, _: int) -> Step:
        """Play again, at every frame, what its output depends on."""
        return replay(self, memory=self.model.body.memory)
