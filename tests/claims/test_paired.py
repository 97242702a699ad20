"""Paired drops: by hand, covered as often as promised, and as wide as the clusters demand."""

from dataclasses import replace

import numpy as np
import pytest

from edgeseq.claims import paired
from edgeseq.claims.intervals import Pair, by_subject
from edgeseq.claims.paired import clusters_needed, compare, pool, widest
from edgeseq.errors import UsageError
from edgeseq.measured import Paired
from edgeseq.tasks.base import Losses

ACCURACY, ERROR = ("window accuracy %", True), ("MAE mg/dL", False)


def losses(total, subject, *, recording=None, kind=ACCURACY, start=None, count=None):
    total, subject = np.asarray(total, float), np.asarray(subject)
    recording = subject if recording is None else recording
    start = np.arange(len(total)) if start is None else start
    count = np.ones(len(total), int) if count is None else count
    return Losses(*kind, total, count, subject.astype(str), np.asarray(recording), start)


def people(rng, subjects, windows, rate):
    """Windows of which a share is changed that differs from person to person, mostly for worse."""
    who = np.repeat(np.arange(subjects), windows)
    changed = rng.random(len(who)) < rng.beta(1, 1 / rate - 1, subjects)[who]
    wrong = rng.random(len(who)) < 0.15
    after = np.where(changed, rng.random(len(who)) < np.where(wrong, 0.4, 1), wrong)
    return losses(100.0 * wrong, who), losses(100.0 * after, who)


def test_drop_is_points_of_accuracy():
    who = np.repeat(np.arange(10), 10)
    wrong = np.zeros(100)
    after = wrong.copy()
    after[[3, 14, 57]] = 100
    found = compare(losses(wrong, who), losses(after, who))
    assert found.drop == pytest.approx(3.0)
    assert (found.unit, found.clusters, found.by, found.count) == ("points", 10, "subjects", 100)
    assert found.low < 3 < found.high
    better = compare(losses(after, who), losses(wrong, who))
    assert better.drop == -3.0
    assert (better.low, better.high) == pytest.approx((-found.high, -found.low), abs=0.3)


@pytest.mark.parametrize("metric", ["MAE mg/dL", "MAE % a day"])
def test_forecasts_lose_in_per_cent_of_fp32s_error(metric):
    who, count = np.arange(8), np.full(8, 50)
    fp32 = losses(np.full(8, 100.0), who, kind=(metric, False), count=count)
    twin = losses(np.full(8, 102.0), who, kind=(metric, False), count=count)
    found = compare(fp32, twin)
    assert (found.unit, found.count) == ("% of fp32's", 400)
    assert (found.drop, found.low, found.high) == pytest.approx((2, 2, 2))


def test_an_error_of_nothing_has_no_share():
    fp32 = losses(np.zeros(8), np.arange(8), kind=ERROR)
    assert compare(fp32, losses(np.ones(8), np.arange(8), kind=ERROR)) is None


def test_one_cluster_has_no_interval():
    one = losses([0.0], [0])
    assert compare(one, one) is None


def test_the_interval_covers_the_truth_as_windows_alone_would_not(monkeypatch):
    """2 % of windows change: the 85 % that were right are spoilt, 60 % of the rest are mended."""
    monkeypatch.setattr(paired, "DRAWS", 1000)
    truth, tries = 100 * 0.02 * (0.85 - 0.6 * 0.15), 200
    covered = naive = 0
    for seed in range(tries):
        fp32, twin = people(np.random.default_rng(seed), 20, 100, 0.02)
        found = compare(fp32, twin, seed=seed)
        covered += found.low <= truth <= found.high
        alone = (twin.total - fp32.total).std() / np.sqrt(len(fp32.total))
        naive += abs(found.drop - truth) <= 1.96 * alone
    assert covered / tries >= 0.9
    assert naive / tries < covered / tries - 0.05


def test_a_plain_mean_gets_students_interval():
    """Normal differences, equal clusters: there Student's t is exact."""
    rng, who = np.random.default_rng(3), np.repeat(np.arange(10), 4)
    before = np.full(40, 100.0)
    after = before + rng.normal(0.5, 1, 10)[who]
    found = compare(losses(before, who, kind=ERROR), losses(after, who, kind=ERROR), seed=1)
    again = compare(losses(before, who, kind=ERROR), losses(after, who, kind=ERROR), seed=1)
    other = compare(losses(before, who, kind=ERROR), losses(after, who, kind=ERROR), seed=2)
    assert found == again != other
    means = (after - before).reshape(10, 4).mean(axis=1)
    expected = by_subject([Pair(str(i), 4, value, 0.0) for i, value in enumerate(means)])
    assert found.drop == pytest.approx(expected.mean)
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.1)


def test_windows_that_repeat_in_a_cluster_add_no_certainty():
    fp32, twin = people(np.random.default_rng(5), 10, 30, 0.05)
    tenfold = [pool([item] * 10, [0] * 10) for item in (fp32, twin)]
    once, often = compare(fp32, twin), compare(*tenfold)
    assert often.drop == pytest.approx(once.drop)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert often.clusters == once.clusters == 10


def test_frames_of_a_window_are_no_decisions_of_their_own():
    """25 frames a window: what one window may still do is a frame or two, not all 25."""
    who, count = np.repeat(np.arange(10), 4), np.full(40, 25)
    wrong = np.where(np.arange(40) % 4, 0.0, 300.0)
    found = compare(
        losses(wrong, who, count=count), losses(wrong + 5 * (who % 2), who, count=count)
    )
    assert found.drop == pytest.approx(0.1)
    assert 0 < found.low < found.high < 0.2


def test_what_has_not_happened_yet_may():
    """No decision changed in 320 windows: a drop of 0.5 points is not ruled out, 1 is."""
    same = losses(np.zeros(320), np.repeat(np.arange(10), 32))
    found = compare(same, same)
    assert found.drop == 0
    assert 0.5 < found.high < 1
    assert (found.verdict(0.5), found.verdict(1)) == ("inconclusive", "within")


@pytest.mark.parametrize(
    ("subjects", "recordings", "expected"),
    [(8, 8, "subjects"), (7, 8, "recordings"), (2, 7, "stretches")],
)
def test_the_widest_clusters_of_which_there_are_enough(subjects, recordings, expected):
    number = np.repeat(np.arange(recordings), 40)
    start = np.tile(np.arange(0, 400, 10), recordings)
    by, clusters = widest(losses(number * 0.0, number % subjects, recording=number, start=start))
    assert by == expected
    if by == "stretches":
        assert 35 <= len(np.unique(clusters)) <= 49
        together = {(a, b) for a, b in zip(clusters, number, strict=True)}
        assert len(together) == len(np.unique(clusters)), "a stretch lies in one recording"


def test_short_clusters_do_not_make_one_long_one_many():
    number = np.concatenate([np.full(1000, 0), np.arange(1, 10)])
    start = np.concatenate([np.arange(1000), np.zeros(9, int)])
    assert widest(losses(number * 0.0, number, start=start))[0] == "stretches"


def drop(low, mean, high, clusters=10):
    return Paired(mean, low, high, "points", clusters, "subjects", 1000)


@pytest.mark.parametrize(
    ("found", "expected", "needed"),
    [
        (drop(-0.1, 0.1, 0.5), "within", None),
        (drop(0.6, 0.9, 1.2), "beyond", None),
        (drop(-0.7, 0.1, 0.9), "inconclusive", 40),
        (drop(0.099, 0.7, 1.301), "inconclusive", 91),
        (drop(0.1, 0.5, 0.9), "inconclusive", None),
        (drop(-0.1, 0.1, 0.2, clusters=7), "inconclusive", 8),
        (drop(0.6, 0.9, 1.2, clusters=7), "inconclusive", 8),
    ],
)
def test_verdicts_and_what_would_decide(found, expected, needed):
    assert found.verdict(0.5) == expected
    assert clusters_needed(found, 0.5) == needed


def test_only_the_same_windows_are_pairs():
    fp32 = losses(np.zeros(8), np.arange(8))
    for other in (
        losses(np.zeros(9), np.arange(9)),
        losses(np.zeros(8), np.arange(1, 9)),
        replace(fp32, start=fp32.start + 1),
        replace(fp32, metric="F1 %"),
    ):
        with pytest.raises(UsageError, match="not the same ones"):
            compare(fp32, other)
