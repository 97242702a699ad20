"""A loaded model as a task judges it, whole and step by step."""

import shutil

import numpy as np
import pytest

from edgeseq.runtime import StreamModel
from edgeseq.runtime.predict import Predictor, predict
from edgeseq.tasks.base import stepper
from edgeseq.workflows.evidence import frame_by_frame
from edgeseq.workflows.quantize import quantize_bundle

FRAMES = np.random.default_rng(0).normal(2, 4, size=(3, 20, 4)).astype(np.float32)


def stepped(predictor, frames):
    step = stepper(predictor, len(frames))
    return np.stack([step(frame) for frame in frames.swapaxes(0, 1)], axis=1)


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_stepping_is_playing(family, request):
    bundle = request.getfixturevalue(f"{family}_bundle")
    model = StreamModel.load(bundle.path, variant="fp32")
    whole = predict(model, FRAMES)
    predictor = Predictor(model)
    np.testing.assert_array_equal(predictor(FRAMES), whole)
    for _ in range(2):  # a stepper begins at reset
        np.testing.assert_allclose(stepped(predictor, FRAMES), whole, atol=1e-5)


def test_a_stream_is_rounded_as_if_it_were_alone(lstm_bundle, tmp_path):
    """Dynamic int8 has one scale a call: a batch of streams of other sizes rounds otherwise."""
    folder = shutil.copytree(lstm_bundle.path, tmp_path / "bundle")
    quantize_bundle(folder, "int8-dynamic", accuracy=False)
    model = StreamModel.load(folder, variant="int8")
    frames = FRAMES * np.array([1, 10, 100], np.float32)[:, None, None]
    alone = frame_by_frame(model, frames)
    np.testing.assert_array_equal(stepped(Predictor(model, frame_by_frame), frames), alone)
    assert np.abs(predict(model, frames) - alone).max() > 0
