"""Where warming up ends: found where it is, given up where it never ends."""

import numpy as np
import pytest

from edgeseq.bench.warmup import BLOCK, FEWEST, MOST, truncation, warm_up


class Series:
    """Steps whose times are known in advance."""

    def __init__(self, nanoseconds):
        self.times, self.done = np.asarray(nanoseconds), 0

    def __call__(self, count):
        self.done += count
        return self.times[self.done - count : self.done]


def noisy(level, count, seed=0):
    return (level * np.random.default_rng(seed).lognormal(0, 0.05, count)).astype(np.int64)


@pytest.mark.parametrize("slow", [0, 100, 250, 600])
def test_the_end_of_a_slow_start_is_found(slow):
    series = Series(np.concatenate([noisy(30_000, slow, seed=1), noisy(10_000, 12_000)]))
    found = warm_up(series)
    assert found.settled
    assert slow <= found.steps <= slow + 5 * BLOCK
    assert found.discarded == series.done >= max(2 * found.steps, FEWEST * BLOCK)
    assert found.first_us == series.times[0] / 1e3


def test_a_decay_is_followed_to_its_end():
    index = np.arange(12_000)
    found = warm_up(Series((10_000 * (1 + 3 * np.exp(-index / 200))).astype(np.int64)))
    left = 3 * np.exp(-found.discarded / 200)
    assert found.settled
    assert left < 0.02, "what counts is within 2 % of how fast steps stay"


def test_what_never_settles_is_said():
    found = warm_up(Series(np.arange(MOST * BLOCK, 0, -1) * 1000))
    assert not found.settled
    assert found.discarded == MOST * BLOCK


def test_one_spike_is_no_warming_up():
    times = noisy(10_000, 12_000)
    times[330] = 90_000_000
    found = warm_up(Series(times))
    assert found.steps <= 6 * BLOCK
    assert found.discarded < 2 * FEWEST * BLOCK


def test_truncation_of_known_series():
    assert truncation([5.0] * 10) == 0
    assert truncation([9.0, 9.0, *[5.0, 5.1] * 6]) == 2
    assert truncation([1.0]) == 0
    # The last two alone are equal: no reason to drop all the others.
    assert truncation([5.0, 5.2, 4.9, 5.1, 5.2, 4.8, 5.0, 5.0]) < 5
