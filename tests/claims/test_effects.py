"""Effects: intervals that hold what they promise, people and seeds kept apart."""

import numpy as np
import pytest
from scipy import stats

from edgeseq.claims.effects import difference, effect


def test_one_split_is_students_t():
    values = {(0, seed): value for seed, value in enumerate((3.0, 5.0, 4.0, 7.0, 1.0))}
    found = effect(values, "points")
    low, high = stats.t.interval(
        0.95, 4, np.mean([*values.values()]), stats.sem([*values.values()])
    )
    assert found.interval == pytest.approx((low, high), abs=1e-3)
    assert found.smallest == pytest.approx(
        (stats.t.ppf(0.975, 4) + stats.t.ppf(0.8, 4)) * stats.sem([*values.values()]), rel=1e-3
    )
    assert (found.folds, found.fold_sd) == (1, None)
    assert found.seed_sd == pytest.approx(np.std([*values.values()], ddof=1))


def test_folds_are_what_is_averaged_over():
    """Ten seeds of two folds are two observations of people, not twenty."""
    values = {(fold, seed): 10.0 * fold for fold in range(2) for seed in range(10)}
    found = effect(values, "points")
    assert found.high - found.low > 100
    assert found.seed_sd == 0
    assert found.fold_sd == pytest.approx(np.std([0, 10], ddof=1))


def test_variances_are_told_apart():
    rng = np.random.default_rng(0)
    people, seeds = [], []
    for _ in range(300):
        fold = rng.normal(0, 3, 5)
        values = {(f, s): fold[f] + rng.normal(0, 1) for f in range(5) for s in range(2)}
        found = effect(values, "points")
        people.append(found.fold_sd**2)
        seeds.append(found.seed_sd**2)
    assert np.mean(people) == pytest.approx(9, rel=0.15)
    assert np.mean(seeds) == pytest.approx(1, rel=0.15)


def test_intervals_cover():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        fold = rng.normal(2, 3, 5)
        values = {(f, s): fold[f] + rng.normal(0, 1) for f in range(5) for s in range(2)}
        low, high = effect(values, "points").interval
        inside += low <= 2 <= high
    assert 0.93 < inside / 1000 < 0.97


def test_only_pairs_count():
    first = {(0, 0): 5.0, (0, 1): 6.0, (0, 2): 99.0}
    second = {(0, 0): 4.0, (0, 1): 4.0, (0, 3): -99.0}
    found = difference(first, second, "points")
    assert (found.mean, found.trainings) == (1.5, 2)
    assert difference(first, {(0, 0): 4.0}, "points") is None
