import numpy as np
import pytest
import torch
from train.toy import Foretell, Waves

from edgeseq.errors import DataError
from edgeseq.models.lstm import LSTMSpec
from edgeseq.tasks.base import Recording
from edgeseq.train.normalise import build_model

SPEC = LSTMSpec(3, layers=1, dropout=0.0)


def test_input_constants_are_those_of_the_training_frames():
    frames = [np.array([[1, 5], [3, 5]], np.float32), np.array([[8, 5]], np.float32)]
    train = [Recording(f, np.zeros(len(f), np.int64), "a", "a") for f in frames]
    model = build_model(Waves(), SPEC, train)
    assert model.input_mean.tolist() == [4, 5]
    assert model.input_std.tolist() == [pytest.approx((26 / 3) ** 0.5), 1]  # 5 never changes
    assert model.output_mean.tolist() == [0, 0, 0]
    assert model.output_std.tolist() == [1, 1, 1]


def test_output_constants_of_a_forecast_are_those_of_the_change():
    frames = np.array([[10, 0], [20, 0], [40, 0]], np.float32)
    target = np.array([[11], [23], [np.nan]], np.float32)
    model = build_model(Foretell(), SPEC, [Recording(frames, target, "a", "a")])
    assert model.output_mean.tolist() == [2]
    assert model.output_std.tolist() == [1]
    torch.nn.init.zeros_(model.body.head.weight)
    torch.nn.init.zeros_(model.body.head.bias)
    with torch.no_grad():
        assert model(torch.from_numpy(frames)[None])[0, :, 0].tolist() == [12, 22, 42]


def test_no_training_recordings_is_an_error():
    with pytest.raises(DataError, match="task waves: its training split has no recordings"):
        build_model(Waves(), SPEC, [])
