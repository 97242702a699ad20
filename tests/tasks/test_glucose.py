"""Glucose: irregular clocks, gaps, and a split in time; the real file is slow."""

import gzip
from datetime import datetime, timedelta

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import glucose, load_task
from edgeseq.tasks.glucose import read_glucose, uninterrupted

START = datetime(2010, 3, 24, 9, 51)


def readings(*minutes):
    """A reading at each minute; its value is its number."""
    return [(START + timedelta(minutes=minute), float(n)) for n, minute in enumerate(minutes)]


def values(*minutes):
    return [stretch.ravel().tolist() for _, stretch in uninterrupted(readings(*minutes))]


@pytest.mark.parametrize(
    ("minutes", "stretches"),
    [
        ((0, 5, 10), [[0, 1, 2]]),
        ((0, 5, 9, 14, 20), [[0, 1, 2, 3, 4]]),  # the clock is set back, then forward
        ((0, 5, 6, 10), [[0, 2, 3]]),  # a minute later: the newer reading counts
        ((0, 5, 5, 10), [[0, 2, 3]]),  # twice the same time
        ((0, 5, 15, 20), [[0, 1], [2, 3]]),  # one is missing
        ((10, 0, 5), [[1, 2, 0]]),  # out of order
        ((0, 90), [[0], [1]]),
    ],
)
def test_stretches(minutes, stretches):
    assert values(*minutes) == stretches


def test_stretch_knows_its_start():
    assert [start for start, _ in uninterrupted(readings(0, 5, 60))] == [
        START,
        START + timedelta(minutes=60),
    ]


def write_csv(path, stretches=(200, 20, 300)):
    """A sine of a 4-hour period, with gaps; a stretch of 20 is too short to score."""
    lines, minute = ["isig,datetime,glucose"], 0
    for length in stretches:
        for _ in range(length):
            value = 130 + 40 * np.sin(minute * 2 * np.pi / 240)
            lines.append(f"20.1,{START + timedelta(minutes=minute)},{value:.3f}")
            minute += 5
        minute += 60
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


@pytest.fixture
def task(tmp_path, monkeypatch):
    write_csv(tmp_path / "CGM.csv.gz")
    monkeypatch.setattr(glucose, "fetch", lambda *_: tmp_path / "CGM.csv.gz")
    return load_task("glucose")


def test_recordings_and_target(task):
    first, second = task.recordings()
    assert (len(first.frames), len(second.frames)) == (200, 300)
    assert first.name == "2010-03-24T09:51"
    np.testing.assert_array_equal(first.target[:-6], first.frames[6:])
    assert np.isnan(first.target[-6:]).all()
    assert task.frame.rate_hz * 300 == 1.0


def test_split_is_in_time(task):
    split = task.split()
    counts = [sum(len(r.frames) for r in s) for s in (split.train, split.validation, split.test)]
    assert counts == [350, 50, 100]


def test_score_leaves_out_two_hours_and_unknown_targets(task):
    score = task.score(lambda frames: frames, task.recordings())
    assert score.count == (200 - 24 - 6) + (300 - 24 - 6)
    assert score.metric == "MAE mg/dL"


def test_autoregression_solves_a_sine_and_persistence_does_not(task):
    scores = task.baselines(task.split())
    mean_change = 2 * 40 * np.sin(np.pi / 8) * 2 / np.pi  # over 30 of 240 minutes
    assert scores["persistence"].value == pytest.approx(mean_change, rel=0.05)
    assert scores["ridge auto-regression"].value < 0.5


def test_augment_is_mild(task):
    frames = np.full((1000, 1), 100.0, np.float32)
    noise = task.augment(frames, np.random.default_rng(0)) - 100
    assert 0.9 < noise.std() < 1.1
    assert task.decide(frames) is frames


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"a,b\n1,2\n")], ids=["no gzip", "no such columns"]
)
def test_damaged(tmp_path, content):
    (tmp_path / "CGM.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match="cannot read glucose readings in "):
        read_glucose(tmp_path / "CGM.csv.gz")


@pytest.mark.slow
def test_real_data():
    task = load_task("glucose")
    split = task.split()
    sides = [split.train, split.validation, split.test]
    counts = np.array([sum(len(item.frames) for item in side) for side in sides])
    np.testing.assert_allclose(counts / counts.sum(), [0.7, 0.1, 0.2], atol=0.001)
    frames = np.concatenate([item.frames for item in task.recordings()])
    assert (frames.min(), frames.max()) == (40, 400)
    scores = task.baselines(split)
    assert scores["persistence"].value == pytest.approx(18.3, abs=0.1)
    assert scores["ridge auto-regression"].value == pytest.approx(15.2, abs=0.1)
