"""The line through calls of several sizes: found where it is known, and the advice that follows."""

from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseq.bench.chunks import CALLS, ChunkFit, fit, measure_chunks
from edgeseq.errors import UsageError

FRAMES = np.arange(20, dtype=np.float32).reshape(10, 2)


class Clocked:
    """A runner on a clock of its own: a call takes `a + b T` nanoseconds."""

    def __init__(self, overhead, frame):
        self.now, self.overhead, self.frame = 0, overhead, frame
        self.chunks = []

    def run(self, frames):
        self.chunks.append(frames.copy())
        self.now += self.overhead + self.frame * len(frames)

    def measure(self, **options):
        return measure_chunks(
            lambda: nullcontext(self), FRAMES, clock=lambda: self.now, **options
        )  # fmt: skip


@given(st.integers(0, 100_000), st.integers(1, 20_000))
def test_the_line_is_found(overhead, frame):
    found = Clocked(overhead, frame).measure(sizes=(1, 4, 16), rounds=2)
    assert found.overhead_us == pytest.approx(overhead / 1e3, abs=2e-3)
    assert found.frame_us == pytest.approx(frame / 1e3, abs=2e-3)
    assert found.misfit < 1e-3


def test_calls_have_their_sizes_and_the_stream_goes_on():
    runner = Clocked(100, 10)
    found = runner.measure(sizes=(1, 3), rounds=2)
    assert {len(chunk) for chunk in runner.chunks} == {1, 3}
    threes = [chunk for chunk in runner.chunks if len(chunk) == 3][:CALLS]
    np.testing.assert_array_equal(
        np.concatenate(threes), np.resize(FRAMES, (3 * CALLS, 2))
    )  # fmt: skip
    assert found.sizes == (1, 3)
    assert found.median_us == (0.11, 0.13)


def test_the_interval_covers_the_truth():
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        times = np.array([30.0 + 2.0 * size for size in (1, 4, 16, 64)])
        rounds = times * rng.lognormal(0, 0.03, (20, 4))
        found = fit((1, 4, 16, 64), rounds, resamples=300, seed=seed)
        covered += found.overhead_low_us <= 30 <= found.overhead_high_us
    assert 85 <= covered <= 100


def test_what_is_no_line_says_so():
    squares = np.array([[float(size * size) for size in (1, 4, 16, 64)]] * 3)
    assert fit((1, 4, 16, 64), squares).misfit > 0.5


def test_one_size_is_no_line():
    with pytest.raises(UsageError, match="takes only one"):
        Clocked(1, 1).measure(sizes=(1,))


def a_fit(*medians_us):
    sizes = (1, 2, 4, 8)[: len(medians_us)]
    return ChunkFit(sizes, medians_us, *[0.0] * 7)


@pytest.mark.parametrize(
    ("deadline_ms", "frames", "oldest_ms"),
    [(200.0, 8, 71.0), (71.0, 8, 71.0), (70.9, 4, 31.0), (5.0, 1, 1.0), (1.0, 1, 1.0)],
)
def test_advice_is_the_largest_chunk_in_time(deadline_ms, frames, oldest_ms):
    """At 100 Hz: T - 1 periods of waiting, then the call."""
    advice = a_fit(1000.0, 1000.0, 1000.0, 1000.0).advise(100.0, deadline_ms)
    assert (advice.frames, advice.oldest_ms) == (frames, oldest_ms)
    assert advice.busy == pytest.approx(0.1 / frames)


def test_no_advice_where_nothing_is_in_time():
    assert a_fit(1000.0, 1200.0).advise(100.0, 0.9) is None
    assert a_fit(11_000.0).advise(100.0, 1000.0) is None, "it would fall ever further behind"


def test_a_chunk_can_keep_up_where_single_frames_cannot():
    advice = a_fit(11_000.0, 12_000.0, 14_000.0, 18_000.0).advise(100.0, 50.0)
    assert advice.frames == 4
    assert advice.busy == pytest.approx(0.35)
