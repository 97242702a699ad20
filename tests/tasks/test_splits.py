"""Splits: nobody, and no moment, is on two sides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseq.errors import UsageError
from edgeseq.tasks.base import UNKNOWN, Recording
from edgeseq.tasks.splits import at_random, by_subject, by_time, check_fold, in_order, named

SIDES = ("train", "validation", "test")


def recording(subject, length, start=0, name="r"):
    """Frames carry their own time, so that a test can see where they went."""
    time = np.arange(start, start + length, dtype=np.float32)[:, None]
    return Recording(time, time + 3, subject, name)


def subjects(side):
    return {item.subject for item in side}


def names(side):
    return [item.name for item in side]


def test_in_order_tests_the_last_and_chooses_on_those_before():
    split = in_order([recording("a", 2, name=str(n)) for n in range(20)], test=0.25, validation=0.1)
    assert names(split.validation) == ["13", "14"]
    assert names(split.train + split.validation + split.test) == [str(n) for n in range(20)]
    assert len(split.test) == 5


def test_at_random_tests_every_recording_once():
    items = [recording("a", 2, name=str(n)) for n in range(23)]
    splits = [at_random(items, fold, folds=5, validation=0.2, seed=1) for fold in range(5)]
    for split in splits:
        everything = names(split.train + split.validation + split.test)
        assert sorted(everything) == sorted(names(items))
        assert (len(split.validation), len(split.test)) in {(5, 4), (5, 5)}
    tested = [name for split in splits for name in names(split.test)]
    assert sorted(tested) == sorted(names(items)) != tested
    assert names(at_random(items, 0, folds=5, validation=0.2, seed=2).test) != tested[:4]


@given(st.integers(3, 12), st.data())
def test_by_subject_is_disjoint_and_tests_everybody_once(count, data):
    folds = data.draw(st.integers(2, count))
    largest = -(-count // folds)
    validation = data.draw(st.integers(1, max(1, count - largest - 1)))
    people = [recording(str(index % count), 4, name=str(index)) for index in range(2 * count)]
    tested = []
    for fold in range(folds):
        split = by_subject(people, fold, folds=folds, validation=validation)
        sides = [subjects(getattr(split, side)) for side in SIDES]
        assert len(set.union(*sides)) == sum(len(side) for side in sides) == count
        assert len(sides[1]) == min(validation, count - len(sides[2]))
        assert sum(len(getattr(split, side)) for side in SIDES) == 2 * count
        tested += sides[2]
    assert sorted(tested) == sorted({item.subject for item in people})


def test_by_subject_takes_neighbours_in_order():
    people = [recording(name, 4) for name in "abcdefghij"]
    split = by_subject(people, 4, folds=5, validation=1)
    assert subjects(split.test) == {"i", "j"}
    assert subjects(split.validation) == {"a"}


def test_named():
    people = [recording(name, 4) for name in "abcd"]
    split = named(people, test=["d"], validation=["a"])
    assert [subjects(getattr(split, side)) for side in SIDES] == [{"b", "c"}, {"a"}, {"d"}]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 5))
def test_by_time_keeps_order_and_every_frame(lengths, horizon):
    starts = np.cumsum([0, *lengths])
    parts = [
        recording("a", length, int(start)) for length, start in zip(lengths, starts, strict=False)
    ]
    split = by_time(parts, test=0.2, validation=0.1, horizon=horizon)
    sides = [[item.frames[:, 0] for item in getattr(split, side)] for side in SIDES]
    joined = np.concatenate([part for side in sides for part in side])
    np.testing.assert_array_equal(joined, np.arange(sum(lengths)))
    assert sum(map(len, sides[2])) == sum(lengths) - round(0.8 * sum(lengths))


def test_by_time_blanks_targets_that_lie_beyond_a_cut():
    split = by_time([recording("a", 100)], test=0.2, validation=0.1, horizon=3)
    (train,), (validation,), (test,) = split.train, split.validation, split.test
    assert (train.name, validation.name, test.name) == ("r[0:70]", "r[70:80]", "r[80:100]")
    assert np.isnan(train.target[-3:]).all()
    assert train.target[-4, 0] == 66 + 3
    assert np.isnan(validation.target).sum() == 3
    assert not np.isnan(test.target).any()


def test_by_time_splits_each_subject():
    split = by_time([recording("a", 10), recording("b", 20)], test=0.2, validation=0.1, horizon=0)
    assert [(item.subject, len(item.frames)) for item in split.test] == [("a", 2), ("b", 4)]
    assert [(item.subject, len(item.frames)) for item in split.validation] == [("a", 1), ("b", 2)]


def test_by_time_blanks_classes_too():
    still = Recording(np.zeros((10, 1), np.float32), np.zeros(10, np.int64), "a", "r")
    split = by_time([still], test=0.2, validation=0.3, horizon=2)
    assert split.train[0].target.tolist() == [0, 0, 0, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(("folds", "hint"), [(5, "choose 0 to 4"), (1, "it has only fold 0")])
def test_check_fold(folds, hint):
    check_fold(folds - 1, folds, "har")
    for fold in (-1, folds):
        with pytest.raises(UsageError, match=f"task har has no fold {fold}; {hint}"):
            check_fold(fold, folds, "har")
