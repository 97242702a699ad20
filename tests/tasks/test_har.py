"""The default task, on a small file of the real one's layout; the real one is slow."""

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import har, load_task

PEOPLE, EXERCISES = 10, 7


def write_watch(path):
    """Ten people do seven exercises, in a shuffled order; values say who and what."""
    order = np.random.default_rng(0).permutation(PEOPLE * EXERCISES)
    subject, label = 1 + order // EXERCISES, order % EXERCISES
    lengths = 200 + 3 * (order % 5)
    x = [
        np.full((length, 6), float(100 * who + what))
        for length, who, what in zip(lengths, subject, label, strict=True)
    ]
    table = {"X": x, "y": label, "subject": subject}
    np.save(path, np.array(table, dtype=object), allow_pickle=True)


@pytest.fixture
def task(tmp_path, monkeypatch):
    path = tmp_path / "watch.npy"
    write_watch(path)
    monkeypatch.setattr(har, "fetch", lambda *_: path)
    return load_task("har")


def test_declaration_fetches_nothing(monkeypatch):
    monkeypatch.setattr(har, "fetch", None)
    task = load_task("har")
    assert (task.frame.size, task.frame.rate_hz, task.window, task.folds) == (24, 12.5, 25, 5)
    assert len(task.output.labels) == 7
    assert task.window / task.frame.rate_hz == 2.0


def test_recordings(task):
    recordings = task.recordings()
    assert len(recordings) == 70
    assert [item.subject for item in recordings[:8]] == ["01"] * 7 + ["02"]
    for item in recordings:
        assert item.frames.dtype == np.float32
        assert (item.frames == 100 * int(item.subject) + item.target[0]).all()
        assert item.frames.shape[0] == len(item.target) in (50, 51, 52, 53)
    assert task.recordings() is recordings


def test_every_fold_is_disjoint_by_subject(task):
    tested = []
    for fold in range(5):
        split = task.split(fold)
        sides = [{r.subject for r in side} for side in (split.train, split.validation, split.test)]
        assert [len(side) for side in sides] == [7, 1, 2]
        assert len(set.union(*sides)) == 10
        tested += sides[2]
    assert sorted(tested) == [f"{person:02d}" for person in range(1, 11)]


def test_score_sees_frames_of_reset_windows(task):
    """A perfect predictor reads the class from the values; 70 recordings have 2 windows each."""
    shapes = []

    def predict(frames):
        shapes.append(frames.shape)
        return np.eye(7, dtype=np.float32)[(frames[..., 0] % 100).astype(int)]

    score = task.score(predict, task.recordings())
    assert (score.value, score.count, shapes) == (100.0, 140, [(140, 25, 24)])
    assert score.confusion == tuple(tuple(20 * (i == j) for j in range(7)) for i in range(7))


def test_decide_and_augment(task):
    assert task.decide(np.array([[0, 2, 1], [3, 0, 0]], np.float32)).tolist() == [1, 0]
    frames = np.ones((5, 24), np.float32)
    rng = np.random.default_rng
    varied = task.augment(frames, rng(0))
    assert varied.shape == (5, 24)
    np.testing.assert_array_equal(varied, task.augment(frames[None], rng(0))[0])
    assert (varied != frames).all()


def test_file_without_the_arrays(tmp_path):
    np.save(tmp_path / "w.npy", np.array({"X": []}, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"w\.npy has no 'y'"):
        har.read_watch(tmp_path / "w.npy")


@pytest.mark.slow
def test_real_data():
    task = load_task("har")
    recordings = task.recordings()
    assert (len(recordings), len({item.subject for item in recordings})) == (140, 10)
    assert sum(len(item.frames) for item in recordings) == 60978
    samples = np.concatenate([item.frames.reshape(-1, 6) for item in recordings])
    gravity = np.median(np.linalg.norm(samples[:, :3], axis=1))
    assert 0.9 < gravity < 1.2  # g
    assert 5 < np.percentile(np.abs(samples[:, 3:]), 99.9) < 30  # rad/s
    for fold in range(task.folds):
        scores = task.baselines(task.split(fold))
        assert 14 < scores["majority class"].value < 18
        assert scores["random forest"].value > 70
