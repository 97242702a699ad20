"""Percentiles and bootstrap intervals against distributions whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeseq.bench.stats import compare, summarise


def test_percentiles_of_a_ramp():
    latency = summarise(np.arange(0, 1_000_001, dtype=np.int64))  # 0 to 1000 µs, evenly
    assert latency.count == 1_000_001
    assert latency.mean_us == pytest.approx(500)
    assert latency.p50_us == pytest.approx(500)
    assert latency.p90_us == pytest.approx(900)
    assert latency.p95_us == pytest.approx(950)
    assert latency.p99_us == pytest.approx(990)
    assert latency.p999_us == pytest.approx(999)
    assert (latency.min_us, latency.max_us) == (0, 1000)


def test_samples_are_kept_in_their_order():
    times = np.random.default_rng(0).integers(5_000, 90_000, 3000)
    latency = summarise(times)
    np.testing.assert_array_equal(latency.samples_us, times / 1e3)
    levels = np.array([0.1, 0.5, 0.999])
    np.testing.assert_allclose(latency.quantiles_us(levels), np.quantile(times / 1e3, levels))


def test_the_interval_of_a_median_covers_it_on_a_machine_with_phases():
    """Steps within a slow phase are alike: intervals that took them as independent would fail."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        phase = np.repeat(rng.choice([0.95, 1.0, 1.05], 80), 50)
        latency = summarise((20_000 * phase * rng.lognormal(0, 0.02, 4000)).astype(np.int64))
        covered += latency.p50_low_us <= 20.0 <= latency.p50_high_us
    assert covered >= 180


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
        latency.p95_us,
        latency.p99_us,
        latency.p999_us,
        latency.max_us,
    ]
    assert order == sorted(order)
    assert latency.p50_low_us <= latency.p50_high_us
    assert latency.p99_low_us <= latency.p99_high_us


def sessions(seed, factor, count=40, noise=0.05, rounds=2):
    """Block medians of two candidates on a machine with slow phases that hit both."""
    rng = np.random.default_rng(seed)
    phase = np.repeat(rng.choice([1.0, 1.5, 2.0], count // 4), 4)[:, None]
    reference = 20 * phase * rng.lognormal(0, noise, (count, rounds))
    candidate = 20 * factor * phase * rng.lognormal(0, noise, (count, rounds))
    return candidate.tolist(), reference.tolist()


def test_ratio_is_found_through_slow_phases():
    candidate, reference = sessions(0, 1.10)
    ratio = compare(("b", candidate), ("a", reference))
    assert (ratio.candidate, ratio.reference) == ("b", "a")
    assert (ratio.sessions, ratio.rounds) == (40, 80)
    assert ratio.low < 1.10 < ratio.high
    assert ratio.low > 1.03, "a true 10 % must not look like nothing"
    assert ratio.high - ratio.low < 0.12


def test_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        candidate, reference = sessions(seed, 1.0)
        ratio = compare(("b", candidate), ("a", reference), resamples=400, seed=seed)
        covered += ratio.low <= 1.0 <= ratio.high
    assert 180 <= covered <= 200  # 95 % of 200 is 190; the binomial spread is 3


def test_the_interval_knows_that_rounds_of_one_session_are_alike():
    """Each session is a few per cent faster or slower by chance; more rounds do not tell."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        bias = rng.lognormal(0, 0.02, (20, 1))  # where memory happens to lie
        candidate = 20 * bias * rng.lognormal(0, 0.002, (20, 10))
        reference = 20 * rng.lognormal(0, 0.002, (20, 10))
        ratio = compare(
            ("b", candidate.tolist()), ("a", reference.tolist()), resamples=400, seed=seed
        )
        covered += ratio.low <= 1.0 <= ratio.high
    assert covered >= 175


def test_wider_confidence_is_a_wider_interval():
    candidate, reference = sessions(1, 1.0)
    wide = compare(("b", candidate), ("a", reference), confidence=0.99)
    narrow = compare(("b", candidate), ("a", reference), confidence=0.5)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert wide.ratio == narrow.ratio


def test_comparison_is_reproducible():
    candidate, reference = sessions(2, 1.3)
    few = {"resamples": 50}  # so few that another seed shows in the interval
    first = compare(("b", candidate), ("a", reference), seed=7, **few)
    assert first == compare(("b", candidate), ("a", reference), seed=7, **few)
    assert first != compare(("b", candidate), ("a", reference), seed=8, **few)


def test_same_numbers_are_exactly_one():
    ratio = compare(("b", [[3.0, 4.0], [5.0]]), ("a", [[3.0, 4.0], [5.0]]))
    assert (ratio.low, ratio.ratio, ratio.high) == (1, 1, 1)


@given(st.floats(0.1, 10), st.lists(st.floats(1, 100), min_size=3, max_size=30))
def test_a_constant_factor_is_the_ratio(factor, medians):
    ours, theirs = [[factor * value] for value in medians], [[value] for value in medians]
    ratio = compare(("b", ours), ("a", theirs))
    assert ratio.ratio == pytest.approx(factor, abs=1e-4)
    assert ratio.low == pytest.approx(ratio.high, abs=2e-4)
