import numpy as np
import pytest
import torch

from edgeseq.models import SequenceModel
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.tasks.base import stepper
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


@pytest.mark.parametrize(
    "spec",
    [
        LSTMSpec(4),
        TransformerSpec(8, 8, heads=2, window=4),
        TransformerSpec(8, 8, heads=2, window=4, positions="learned"),
    ],
    ids=["lstm", "rotary", "learned"],
)
def test_a_step_is_told_all_that_its_output_depends_on(spec):
    """A Transformer of two layers that see 4 frames each depends on 7."""
    torch.manual_seed(0)
    predict = predictor(SequenceModel(spec, 2, 3))
    frames = np.random.default_rng(1).normal(size=(2, 20, 2)).astype(np.float32)
    step = stepper(predict, 2)
    outputs = np.stack([step(frame) for frame in frames.swapaxes(0, 1)], axis=1)
    np.testing.assert_allclose(outputs, predict(frames), atol=1e-5)
