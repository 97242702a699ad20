import numpy as np
import torch

from edgeseq.models import SequenceModel
from edgeseq.models.lstm import LSTMSpec
from edgeseq.train import predictor

FRAMES = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)


def test_it_is_the_model_in_evaluation_mode_whatever_the_batch():
    torch.manual_seed(0)
    model = SequenceModel(LSTMSpec(4, dropout=0.5), 2, 3)
    first = predictor(model, batch=2)(FRAMES)
    assert model.training
    np.testing.assert_allclose(first, predictor(model)(FRAMES), atol=1e-6)
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(FRAMES)).numpy()
    np.testing.assert_allclose(first, expected, atol=1e-6)
    assert first.shape == (5, 7, 3)
    assert first.dtype == np.float32
