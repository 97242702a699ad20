"""Less data is a part of the data, and spoilt labels are the same labels elsewhere."""

from itertools import pairwise

import numpy as np
import pytest

from edgeseq.tasks import Recording, load_task
from edgeseq.tasks.base import UNKNOWN
from edgeseq.workflows.claims.thin import Thinned, shuffled, thin


def recordings(kinds, length=10):
    return [
        Recording(
            np.full((length, 1), number, np.float32),
            np.full(length, kind, np.int64),
            "s",
            str(number),
        )
        for number, kind in enumerate(kinds)
    ]


def names(found):
    return [recording.name for recording in found]


def test_a_smaller_share_is_a_part_of_a_larger_one():
    every = recordings([0, 0, 0, 0, 1, 1, 2, 2])
    for seed in range(5):
        shares = [names(thin(every, share, seed)) for share in (0.2, 0.5, 0.9, 1.0)]
        assert all(more[: len(less)] == less for less, more in pairwise(shares))
    assert names(thin(every, 0.5, 0)) != names(thin(every, 0.5, 1))


@pytest.mark.parametrize("share", [0.01, 0.25, 0.4, 1.0])
def test_the_share_is_of_frames(share):
    every = recordings([0, 1, 2] * 4)
    found = thin(every, share, 0)
    assert sum(len(recording.frames) for recording in found) == max(1, round(share * 120))
    assert all(len(one.frames) == len(one.target) for one in found)


def test_classes_take_turns():
    every = recordings([0] * 20 + [1] * 2 + [2] * 2)
    assert {int(one.target[0]) for one in thin(every, 3 / 24, 4)} == {0, 1, 2}


def test_the_test_side_stays():
    task = load_task("order")
    cut, whole = Thinned(task, 0.1, 0).split(0), task.split(0)
    assert [len(cut.train), len(cut.validation)] == [400, 50]
    assert cut.test is whole.test
    assert Thinned(task, 0.1, 0).window == task.window


def test_shuffled_labels_are_the_same_ones_where_some_are_known():
    task = load_task("order")
    before, after = task.split(0), shuffled(task).split(0)
    assert after.test is before.test
    old, new = (np.stack([one.target for one in side.train]) for side in (before, after))
    assert ((old == UNKNOWN) == (new == UNKNOWN)).all()
    assert (np.sort(old[old >= 0]) == np.sort(new[new >= 0])).all()
    assert (old[old >= 0] == new[old >= 0]).mean() == pytest.approx(0.5, abs=0.02)
    values = [np.stack([one.target for one in s.train]) for s in _adding()]
    assert (np.isnan(values[0]) == np.isnan(values[1])).all()
    assert np.nansum(values[0]) == pytest.approx(np.nansum(values[1]))


def _adding():
    task = load_task("adding-8")
    return task.split(0), shuffled(task).split(0)
