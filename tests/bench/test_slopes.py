"""Slopes: a true one is found, spikes do not move it, and the interval says what it should."""

import numpy as np
import pytest

from edgeseq.bench import slopes
from edgeseq.bench.slopes import Slope, theil_sen


def noise(count, carried, seed):
    """Return AR(1) noise: each sample takes `carried` of the one before."""
    shocks = np.random.default_rng(seed).standard_normal(count + 50)
    values = np.zeros(count + 50)
    for index in range(1, count + 50):
        values[index] = carried * values[index - 1] + shocks[index]
    return values[50:]


def test_a_line_is_a_line():
    x = np.arange(20) * 1000.0
    assert theil_sen(x, 3 + 0.5 * x) == Slope(0.5, 0.5, 0.5, 0.95, 20)
    assert theil_sen(x, np.full(20, 7)) == Slope(0, 0, 0, 0.95, 20)


def test_spikes_do_not_move_it():
    x = np.arange(100.0)
    y = 2 * x + noise(100, 0, 0) * 0.1
    y[::4] += 1000  # a quarter of all samples
    least_squares = np.polyfit(x[:98], y[:98], 1)[0]
    found = theil_sen(x, y)
    assert found.per_unit == pytest.approx(2, abs=0.02)
    assert abs(least_squares - 2) > 0.1, "so the spikes are some"


@pytest.mark.parametrize("count", [40, 200, 5000])
def test_a_true_slope_is_told_from_none(count):
    x = np.linspace(0, 1, count)
    grown = theil_sen(x, 5 * x + noise(count, 0.3, 1))
    flat = theil_sen(x, noise(count, 0.3, 1))
    assert grown.low < 5 < grown.high
    assert flat.low < 0 < flat.high
    assert grown.samples == count
    if count == 5000:
        assert grown.low > 4


def covered(carried, *, runs=120, count=60):
    x, hits = np.arange(float(count)), 0
    for run in range(runs):
        found = theil_sen(x, 0.02 * x + noise(count, carried, run), resamples=100)
        hits += found.low <= 0.02 <= found.high
    return hits / runs


@pytest.mark.parametrize(("carried", "least"), [(0.0, 0.90), (0.5, 0.84), (0.8, 0.84)])
def test_coverage(carried, least):
    """Fixed seeds; 120 runs tell 95 % from 90 %, and an interval that is far too wide."""
    share = covered(carried)
    assert least <= share <= 0.995


def test_single_draws_would_lie_about_autocorrelated_noise(monkeypatch):
    """The test above can fail: what a plain bootstrap of residuals covers."""
    monkeypatch.setattr(slopes, "_block", lambda *_: 1)
    monkeypatch.setattr(slopes, "_widening", lambda *_: 1.0)
    assert covered(0.8, runs=60) < 0.65


def test_the_same_seed_gives_the_same_interval():
    x, y = np.arange(50.0), noise(50, 0.5, 3)
    assert theil_sen(x, y) == theil_sen(x, y)
    assert theil_sen(x, y, seed=1).low != theil_sen(x, y).low
    narrow, wide = (theil_sen(x, y, confidence=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_long_series_are_cut_into_blocks_that_keep_the_slope():
    x = np.arange(100_000.0)
    found = theil_sen(x, 1e-3 * x + noise(100_000, 0.5, 4))
    assert found.per_unit == pytest.approx(1e-3, rel=0.01)
    assert found.samples == 100_000


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (range(7), range(7)),
        (range(10), range(9)),
        ([0] * 10, range(10)),
        (np.ones((10, 2)), np.ones((10, 2))),
    ],
)
def test_what_has_no_slope_is_refused(x, y):
    with pytest.raises(ValueError, match="at least 8 points, x rising"):
        theil_sen(list(x), list(y))
