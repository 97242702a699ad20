"""Sides and folds of what is made up are different draws, and the same ones again."""

import numpy as np
import pytest

from edgeseq.tasks import load_task


@pytest.mark.parametrize("name", ["recall", "adding", "order"])
def test_draws(name):
    task = load_task(name)
    split, again, other = task.split(0), load_task(name).split(0), task.split(1)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [4000, 500, 500]
    assert split.test[3].frames.dtype == np.float32
    np.testing.assert_array_equal(split.test[3].frames, again.test[3].frames)
    firsts = [side[0].frames for side in (*vars(split).values(), *vars(other).values())]
    assert len({frames.tobytes() for frames in firsts}) == 6
    assert len(task.recordings()) == 5000
