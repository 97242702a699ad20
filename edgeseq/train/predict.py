"""A model as the function that `Task.score` judges."""

import torch

from edgeseq.models import SequenceModel
from edgeseq.tasks.base import Array, Predict


def predictor(model: SequenceModel, *, batch: int = 256) -> Predict:
    """Return `model` as a function of frames `(N, T, F)`, `batch` streams at a time.

    The model is put into evaluation mode for each call and then back into the mode it was in.
    """

    def predict(frames: Array) -> Array:
        training, device = model.training, model.input_mean.device
        model.eval()
        try:
            with torch.inference_mode():
                parts = torch.split(torch.from_numpy(frames), batch)
                return torch.cat([model(part.to(device)).cpu() for part in parts]).numpy()
        finally:
            model.train(training)

    return predict
