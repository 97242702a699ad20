"""A model of a whole window answers every frame from the last W frames, however it is asked."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgeseq.models import sliding
from edgeseq.models.sliding import Sliding

WINDOW = 5


class Weighted(Sliding):
    """The plainest of a window: one linear map of all its values."""

    def __init__(self, window=WINDOW):
        super().__init__(SimpleNamespace(window=window), 2)
        torch.manual_seed(0)
        self.map = nn.Linear(2 * window, 3).double()

    def window_outputs(self, windows):
        return self.map(windows.flatten(1))

    def write_windows(self, ends, windows):
        raise NotImplementedError


def frames_of(streams=2, length=23):
    return torch.from_numpy(np.random.default_rng(1).normal(size=(streams, length, 2)))


def by_hand(model, frames):
    """Cut every window with a loop; zeros lie before the first frame."""
    weight, bias = (part.detach().numpy() for part in model.map.parameters())
    outputs = np.zeros((*frames.shape[:2], 3))
    for stream, row in enumerate(frames.numpy()):
        for t in range(len(row)):
            window = np.zeros((model.window, 2))
            for age in range(min(model.window, t + 1)):
                window[model.window - 1 - age] = row[t - age]
            outputs[stream, t] = weight @ window.ravel() + bias
    return outputs


@pytest.mark.parametrize("batch", [1, 7, 2048])
@pytest.mark.parametrize("length", [1, WINDOW - 1, WINDOW, 23])
def test_every_frame_is_answered_from_its_window(length, batch, monkeypatch):
    monkeypatch.setattr(sliding, "BATCH", batch)
    model, frames = Weighted().eval(), frames_of(length=length)
    with torch.inference_mode():
        np.testing.assert_allclose(model(frames).numpy(), by_hand(model, frames), atol=1e-12)


def test_a_frame_reaches_exactly_as_far_as_the_window():
    model, frames = Weighted().eval(), frames_of()
    changed = frames.clone()
    changed[:, 9] += 1
    with torch.inference_mode():
        moved = (model(changed) - model(frames)).abs().amax((0, 2)).numpy()
    assert np.flatnonzero(moved > 1e-12).tolist() == [9, 10, 11, 12, 13]


def test_the_state_is_the_frames_before_the_next():
    model, frames = Weighted().eval(), frames_of()
    for length in (1, 3, 4, 5, 23):
        state = model.final_state(frames[:, :length])
        assert list(state) == ["cached_frames"]
        held = np.zeros((2, WINDOW - 1, 2))
        for age in range(min(WINDOW - 1, length)):
            held[:, -1 - age] = frames[:, length - 1 - age]
        np.testing.assert_array_equal(state["cached_frames"].numpy(), held)


@pytest.mark.parametrize("seed", range(3))
def test_training_asks_some_frames_and_holds_their_answers(seed):
    model, frames = Weighted(window=16), frames_of(length=30)
    torch.manual_seed(seed)
    held, asked = model.train()(frames), model.asked.tolist()
    every = model.eval()(frames)
    assert held.requires_grad
    for t in range(30):
        latest = max([a for a in asked if a <= t], default=asked[0])
        torch.testing.assert_close(held[:, t], every[:, latest])


@given(length=st.integers(1, 200), hop=st.integers(1, 40), seed=st.integers(0, 99))
def test_training_asks_the_last_frame_and_one_of_every_few(length, hop, seed):
    torch.manual_seed(seed)
    asked = sliding._asked(length, hop).tolist()
    assert asked == sorted(set(asked))
    assert asked[0] >= 0
    assert asked[-1] == length - 1
    assert len(asked) == 1 - (1 - length) // hop
    assert all(b - a < 2 * hop for a, b in pairwise(asked))


def test_training_asks_every_frame_sooner_or_later():
    torch.manual_seed(0)
    assert {t for _ in range(300) for t in sliding._asked(12, 4).tolist()} == {*range(12)}
