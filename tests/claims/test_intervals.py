"""Differences between models on few people, against hand-made and simulated ones."""

import numpy as np
import pytest

from edgeseq.claims.intervals import Pair, by_recording, by_subject


def test_equal_recordings_give_the_textbook_paired_t_interval() -> None:
    gains = [1.0, 2.0, 3.0, 6.0]
    found = by_recording([Pair("a", 10, 80 + gain, 80) for gain in gains])
    assert found.mean == pytest.approx(3.0)
    half = 3.182 * np.std(gains, ddof=1) / 2  # t(0.975; 3)
    assert found.interval == pytest.approx((3 - half, 3 + half))
    assert found.smallest == pytest.approx(half * (3.182 + 0.978) / 3.182)
    assert (found.clusters, found.unit) == (4, "recordings")


def test_long_recordings_weigh_more() -> None:
    found = by_recording([Pair("a", 30, 10, 0), Pair("b", 10, 2, 0)])
    assert found.mean == pytest.approx(8.0)


def test_a_subject_counts_once_however_often_recorded() -> None:
    pairs = [Pair("a", 10, gain, 0) for gain in (1, 2, 3)] + [Pair("b", 30, 4, 0)]
    found = by_subject(pairs)
    assert (found.clusters, found.unit) == (2, "subjects")
    assert found.mean == pytest.approx(3.0)
    assert found.high - found.mean == pytest.approx(12.706 * 1.0)  # gains 2 and 4, error 1


@pytest.mark.parametrize("pairs", [[], [Pair("a", 10, 1, 0)], [Pair("a", 0, 1, 0)] * 5])
def test_one_cluster_says_nothing(pairs) -> None:
    assert by_recording(pairs) is None


def test_the_interval_covers_what_it_promises() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        counts = rng.integers(5, 15, 12)
        values = rng.normal(2.0, 5.0, 12)
        found = by_recording([Pair("a", int(n), v, 0) for n, v in zip(counts, values, strict=True)])
        hits += found.low < 2.0 < found.high
    assert 0.90 < hits / 400 < 0.98
