"""Percentiles and bootstrap intervals against distributions whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeseq.bench.stats import GRID, compare, grid_levels, summarise


def test_percentiles_of_a_ramp():
    latency = summarise(np.arange(0, 1_000_001, dtype=np.int64))  # 0 to 1000 µs, evenly
    assert latency.count == 1_000_001
    assert latency.mean_us == pytest.approx(500)
    assert latency.p50_us == pytest.approx(500)
    assert latency.p90_us == pytest.approx(900)
    assert latency.p99_us == pytest.approx(990)
    assert latency.p999_us == pytest.approx(999)
    assert (latency.min_us, latency.max_us) == (0, 1000)


def test_grid_of_a_ramp_is_its_levels():
    latency = summarise(np.arange(0, 1_000_001, dtype=np.int64))
    assert len(latency.grid_us) == GRID == 200
    np.testing.assert_allclose(latency.grid_us, grid_levels() * 1000, atol=1e-3)


def test_percentiles_of_an_exponential():
    draws = np.random.default_rng(0).exponential(20_000, 400_000).astype(np.int64)
    latency = summarise(draws)
    assert latency.p50_us == pytest.approx(20 * np.log(2), rel=0.01)
    assert latency.p99_us == pytest.approx(20 * np.log(100), rel=0.02)
    assert latency.p999_us == pytest.approx(20 * np.log(1000), rel=0.05)


def test_one_spike_moves_the_maximum_alone():
    times = np.full(10_000, 5_000, np.int64)
    times[1234] = 9_000_000
    latency = summarise(times)
    assert latency.p999_us == latency.p50_us == 5
    assert latency.max_us == 9000


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        summarise(np.empty(0, np.int64))


@given(arrays(np.int64, st.integers(1, 300), elements=st.integers(0, 10**10)))
def test_percentiles_never_cross(times):
    latency = summarise(times)
    order = [
        latency.min_us,
        latency.p50_us,
        latency.p90_us,
        latency.p99_us,
        latency.p999_us,
        latency.max_us,
    ]
    assert order == sorted(order)
    assert list(latency.grid_us) == sorted(latency.grid_us)


def rounds(seed, factor, count=40, noise=0.05):
    """Block medians of two candidates on a machine with slow phases that hit both."""
    rng = np.random.default_rng(seed)
    phase = np.repeat(rng.choice([1.0, 1.5, 2.0], count // 4), 4)
    reference = 20 * phase * rng.lognormal(0, noise, count)
    candidate = 20 * factor * phase * rng.lognormal(0, noise, count)
    return candidate, reference


def test_ratio_is_found_through_slow_phases():
    candidate, reference = rounds(0, 1.10)
    ratio = compare(("b", candidate), ("a", reference))
    assert (ratio.candidate, ratio.reference, ratio.rounds) == ("b", "a", 40)
    assert ratio.low < 1.10 < ratio.high
    assert ratio.low > 1.03, "a true 10 % must not look like nothing"
    assert ratio.high - ratio.low < 0.12


def test_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        candidate, reference = rounds(seed, 1.0)
        ratio = compare(("b", candidate), ("a", reference), resamples=400, seed=seed)
        covered += ratio.low <= 1.0 <= ratio.high
    assert 180 <= covered <= 200  # 95 % of 200 is 190; the binomial spread is 3


def test_wider_confidence_is_a_wider_interval():
    candidate, reference = rounds(1, 1.0)
    wide = compare(("b", candidate), ("a", reference), confidence=0.99)
    narrow = compare(("b", candidate), ("a", reference), confidence=0.5)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert wide.ratio == narrow.ratio


def test_comparison_is_reproducible():
    candidate, reference = rounds(2, 1.3)
    few = {"resamples": 50}  # so few that another seed shows in the interval
    first = compare(("b", candidate), ("a", reference), seed=7, **few)
    assert first == compare(("b", candidate), ("a", reference), seed=7, **few)
    assert first != compare(("b", candidate), ("a", reference), seed=8, **few)


def test_same_numbers_are_exactly_one():
    ratio = compare(("b", [3.0, 4.0, 5.0]), ("a", [3.0, 4.0, 5.0]))
    assert (ratio.low, ratio.ratio, ratio.high) == (1, 1, 1)


@given(st.floats(0.1, 10), st.lists(st.floats(1, 100), min_size=3, max_size=30))
def test_a_constant_factor_is_the_ratio(factor, medians):
    ratio = compare(("b", [factor * value for value in medians]), ("a", medians))
    assert ratio.ratio == pytest.approx(factor, abs=1e-4)
    assert ratio.low == pytest.approx(ratio.high, abs=2e-4)
