"""The symbol asked for is the last that was marked."""

import numpy as np
import pytest

from edgeseq.tasks import recall
from edgeseq.tasks.base import UNKNOWN


@pytest.mark.parametrize("lag", [8, 32])
def test_the_last_symbol_with_a_mark(lag):
    frames, target = recall.make(400, np.random.default_rng(0), lag=lag)
    assert (frames.shape, frames.dtype) == ((400, 8 + lag + 1, 9), np.float32)
    assert (target[:, :-1] == UNKNOWN).all()
    last = []
    for one, answer in zip(frames, target[:, -1], strict=True):
        marked = np.flatnonzero(one[:, 8])
        assert len(marked) == 3
        assert one[marked[-1], :8].argmax() == answer
        last.append(int(marked[-1]))
    assert set(last) == set(range(2, 8)), "the lag and a little more"
    assert (frames[:, :-1, :8].sum(axis=-1) == 1).all()
    assert (frames[:, -1] == 0).all()
    assert np.bincount(target[:, -1], minlength=8).min() > 25


def test_another_lag_is_another_task():
    task = recall.load(lag=64)
    assert (task.name, task.window, task.training["crop"]) == ("recall-64", 73, 73)
    assert task.split(0).test[0].frames.shape == (73, 9)
