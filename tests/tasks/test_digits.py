"""Spoken digits, on a file of the real one's layout; the real one is slow."""

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import digits, load_task


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Sixty utterances of 6, 7, 8 … frames; every value of utterance u is u."""
    lengths = np.arange(6, 66)
    values = np.repeat(np.arange(60, dtype=np.float32), lengths)[:, None] * np.ones((1, 13))
    path = tmp_path / "digits.npz"
    np.savez(path, X=values.astype(np.float32), y=np.arange(60) % 10, lengths=lengths)
    monkeypatch.setattr(digits, "fetch", lambda *_: path)
    return load_task("digits")


def test_utterances_are_recordings(task):
    recordings = task.recordings()
    assert [len(item.frames) for item in recordings] == [min(n, 40) for n in range(6, 66)]
    for index, item in enumerate(recordings):
        assert (item.frames.shape[1], item.frames.dtype) == (13, np.float32)
        assert (item.frames == index).all()
        assert (item.target == index % 10).all()
        assert len(item.target) == len(item.frames)


def test_every_fold_tests_others(task):
    tested = []
    for fold in range(task.folds):
        split = task.split(fold)
        sides = [{r.name for r in side} for side in (split.train, split.validation, split.test)]
        assert [len(side) for side in sides] == [42, 6, 12]
        assert len(set.union(*sides)) == 60
        tested += sides[2]
    assert sorted(tested) == sorted(item.name for item in task.recordings())


def test_an_utterance_is_a_window_and_its_frames_alone_decide(task):
    """Right on every frame that is there; where a window is filled up, as if of another class."""

    def predict(frames):
        fresh = np.zeros(frames.shape[:2], bool)
        fresh[:, :6] = True
        label = np.where(fresh, frames[..., 0] % 10, (frames[..., 0] + 1) % 10)
        return np.eye(10, dtype=np.float32)[label.astype(int)]

    short = task.recordings()[:5]  # 6 to 10 frames, of which 6 are named rightly
    score = task.score(predict, short)
    assert (score.value, score.count) == (100.0, 5)
    losses = task.frame_losses(predict, short)
    assert losses.count.tolist() == [6, 7, 8, 9, 10]
    assert losses.total.tolist() == [0, 100, 200, 300, 400]


def test_stream_and_baselines(task):
    assert task.split(0).test
    scores = task.baselines(task.split(0))
    assert set(scores) == {"majority class", "SVM"}
    assert all(score.streamed is None for score in scores.values())


def test_damaged_file(tmp_path):
    np.savez(tmp_path / "digits.npz", X=np.zeros((3, 13)))
    with pytest.raises(DataError, match=r"cannot read spoken digits in .*digits\.npz"):
        digits.read_digits(tmp_path / "digits.npz")


@pytest.mark.slow
def test_real_data():
    task = load_task("digits")
    recordings = task.recordings()
    assert (len(recordings), sum(len(item.frames) for item in recordings)) == (3000, 53786)
    scores = task.baselines(task.split(0))
    assert 8 < scores["majority class"].value < 12
    assert scores["SVM"].value > 95
