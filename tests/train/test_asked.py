"""What training asks of a model that answers some frames only, or late, and what of a forecast."""

import pytest
import torch
from train.toy import Foretell, Waves

from edgeseq.errors import UsageError
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.encoder import EncoderSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.train.determinism import device_of
from edgeseq.train.normalise import build_model
from edgeseq.train.run import Run
from edgeseq.train.settings import FitSettings


def asked_of(spec, length=20):
    """Return the frames whose outputs count, and the frames that they are to describe."""
    run = Run(Waves(), spec, FitSettings(crop=length), device_of("cpu"))
    run.forward.train()
    run.forward(torch.randn(2, length, 2))
    numbers = torch.arange(length).expand(2, length)
    frames, described = run.learner.asked(numbers, numbers)
    assert torch.equal(frames[0], frames[1])
    return frames[0].tolist(), described[0].tolist()


def test_of_a_model_that_answers_every_frame_all_count():
    assert asked_of(LSTMSpec(4)) == ([*range(20)], [*range(20)])


def test_of_a_window_only_what_was_computed_counts():
    frames, described = asked_of(CNNSpec(4, window=16))
    assert (frames, len(frames), frames[-1]) == (described, 6, 19)


@pytest.mark.parametrize("lookahead", [1, 3])
def test_a_late_answer_is_to_describe_the_frame_that_it_is_late_for(lookahead):
    spec = EncoderSpec(8, 4, heads=1, window=16, lookahead=lookahead)
    frames, described = asked_of(spec)
    assert described == [max(0, frame - lookahead) for frame in frames]
    assert described[-1] == 19 - lookahead


def test_a_forecast_cannot_be_late():
    spec, task = EncoderSpec(8, 4, heads=1, window=16, lookahead=2), Foretell()
    with pytest.raises(UsageError, match="2 frames late can say what was, not forecast foretell"):
        build_model(task, spec, task.split(0).train)
