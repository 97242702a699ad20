"""Two marks, one sum, and what those answer who do not see the marks."""

import numpy as np
import pytest

from edgeseq.tasks import adding


def test_the_sum_of_the_marked_numbers():
    frames, target = adding.make(500, np.random.default_rng(0), length=10)
    assert frames.shape == (500, 10, 2)
    assert (frames[:, :5, 1].sum(axis=1) == 1).all()
    assert (frames[:, 5:, 1].sum(axis=1) == 1).all()
    assert np.isnan(target[:, :-1]).all()
    marked = np.where(frames[..., 1] == 1, frames[..., 0], 0).sum(axis=1)
    np.testing.assert_allclose(target[:, -1, 0], marked)
    assert 0 <= frames[..., 0].min() < 0.01 < 0.99 < frames[..., 0].max() <= 1


def test_only_the_last_frame_is_scored_and_no_line_fits_the_sum():
    task = adding.load(length=12)
    split = task.split(0)
    scores = task.baselines(split)
    assert set(scores) == {"mean", "ridge auto-regression"}
    assert scores["mean"].value == pytest.approx(1 / 3, abs=0.03)
    assert scores["ridge auto-regression"].value > 0.8 * scores["mean"].value
    assert {score.count for score in scores.values()} == {500}

    def solve(frames):
        return (frames[..., :1] * frames[..., 1:]).cumsum(axis=1)

    assert task.score(solve, split.test).value == pytest.approx(0, abs=1e-6)
    assert task.streamed(solve, split.test) is None
