"""Scores against examples worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseq.errors import DataError
from edgeseq.tasks import scoring
from edgeseq.tasks.base import UNKNOWN, Recording
from edgeseq.tasks.scoring import (
    classification_losses,
    classification_score,
    cut_windows,
    frame_losses,
    run,
    value_losses,
    value_score,
    window_classes,
)


def classes(values, target, subject="a"):
    frames = np.array(values, np.float32)[:, None]
    return Recording(frames, np.array(target, np.int64), subject, "r")


def test_windows_do_not_overlap_and_drop_the_remainder():
    windows = cut_windows([classes(range(7), [0] * 7), classes(range(10, 13), [1] * 3)], 3)
    assert windows.frames[..., 0].tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12]]
    assert windows.target.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]


def test_ragged_windows_are_filled_up_with_unknown_targets():
    windows = cut_windows([classes(range(5), [0] * 5)], 4, overlap=1, ragged=True)
    assert windows.frames[..., 0].tolist() == [[0, 1, 2, 3], [3, 4, 4, 4]]
    assert windows.target.tolist() == [[0, 0, 0, 0], [0, 0, UNKNOWN, UNKNOWN]]


@given(st.integers(1, 60), st.integers(2, 12), st.data())
def test_ragged_windows_score_each_frame_after_the_warmup_once(total, length, data):
    overlap = data.draw(st.integers(0, length - 1))
    values = np.arange(total, dtype=np.float32)[:, None]
    one = Recording(values, values, "a", "r")
    windows = cut_windows([one], length, overlap=overlap, ragged=True)
    scored = windows.target[:, overlap:]
    assert sorted(scored[~np.isnan(scored)]) == list(range(overlap, total))
    known = ~np.isnan(windows.target)
    np.testing.assert_array_equal(windows.frames[known], windows.target[known])


def test_too_short_for_a_window():
    with pytest.raises(DataError, match="no recording has the 4 frames of a window; use longer"):
        cut_windows([classes(range(3), [0] * 3)], 4)


def test_window_class_is_the_most_frequent_known_one():
    target = [[2, 2, 0], [UNKNOWN, UNKNOWN, 1], [UNKNOWN, UNKNOWN, UNKNOWN], [0, 1, 2]]
    assert window_classes(np.array(target), 3).tolist() == [2, 1, UNKNOWN, 0]


def test_window_accuracy_by_hand():
    """The mean of a window's logits decides, not the majority of its frames' decisions.

    A frame's value v gives logits (v, 0). Windows of 3: subject a: [5, -1, -1] mean 1 → 0,
    right; [-3, 1, -1] mean -1 → 1, wrong. Subject b: [-1, -1, -1] → 1, right; unknown truth.
    """
    recordings = [
        classes([5, -1, -1, -3, 1, -1], [0] * 6, "a"),
        classes([-1, -1, -1, 9, 9, 9], [1, 1, 1, UNKNOWN, UNKNOWN, UNKNOWN], "b"),
    ]

    def predict(frames):
        return np.concatenate([frames, np.zeros_like(frames)], axis=-1)

    score = classification_score(predict, cut_windows(recordings, 3), 2)
    assert score.value == pytest.approx(200 / 3)
    assert (score.metric, score.count, score.higher_is_better) == ("window accuracy %", 3, True)
    assert score.per_subject == {"a": 50.0, "b": 100.0}
    assert score.confusion == ((1, 1), (0, 1))


def test_what_fills_a_window_up_never_decides():
    """Two frames say (2, 0), then 6 more that repeat the last: by their mean 0, by the last 1."""
    short = classes([2, -1], [0, 0])
    windows = cut_windows([short, classes([-1] * 8, [1] * 8)], 8, ragged=True)
    assert windows.length.tolist() == [2, 8]

    def predict(frames):
        return np.concatenate([frames, np.zeros_like(frames)], axis=-1)

    for rule, value, wrong in (("mean", 100.0, [0, 0]), ("last", 50.0, [100, 0])):
        assert classification_score(predict, windows, 2, rule).value == value
        losses = classification_losses(predict, windows, 2, rule=rule)
        assert (losses.total.tolist(), losses.value) == (wrong, value)
        assert classification_losses(predict, windows, 2, 1, rule=rule).total.tolist() == [0, 0]
    assert frame_losses(predict, windows).count.tolist() == [2, 8]


def test_no_known_window():
    windows = cut_windows([classes(range(3), [UNKNOWN] * 3)], 3)
    with pytest.raises(DataError, match="no window has a known class"):
        classification_score(lambda frames: frames, windows, 1)


def test_value_error_by_hand():
    """Predicting the frame itself: errors |0-9|, |1-3|, |2-2|, |3-7|; the first is warm-up."""
    frames = np.array([[0], [1], [2], [3], [4]], np.float32)
    target = np.array([[9], [3], [2], [7], [np.nan]], np.float32)
    windows = cut_windows([Recording(frames, target, "a", "r")], 5)
    score = value_score(lambda frames: frames, windows, 1, "m")
    assert (score.value, score.count, score.metric) == (2.0, 3, "MAE m")
    assert score.per_subject == {"a": 2.0}
    assert not score.higher_is_better
    with pytest.raises(DataError, match="no frame with a known target lies more than 4 frames"):
        value_score(lambda frames: frames, windows, 4, "m")


def test_run_batches(monkeypatch):
    monkeypatch.setattr(scoring, "BATCH", 4)
    sizes = []

    def predict(frames):
        sizes.append(len(frames))
        return 2 * frames

    frames = np.arange(10, dtype=np.float32).reshape(10, 1, 1)
    np.testing.assert_array_equal(run(predict, frames), 2 * frames)
    assert sizes == [4, 4, 2]


def test_losses_are_what_the_score_is_the_mean_of():
    rng = np.random.default_rng(0)
    recordings = [
        classes(rng.random(30), [index % 2] * 30, subject=f"s{index}") for index in range(3)
    ]
    windows = cut_windows(recordings, 4)

    def predict(frames):
        return np.concatenate([frames, 0.9 - frames], axis=-1)

    losses = classification_losses(predict, windows, 2)
    score = classification_score(predict, windows, 2)
    assert losses.value == pytest.approx(score.value)
    assert losses.count.sum() == score.count == 21
    assert (losses.metric, losses.higher_is_better) == (score.metric, score.higher_is_better)
    assert losses.recording.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert losses.start.tolist() == [0, 4, 8, 12, 16, 20, 24] * 3
    for subject, value in score.per_subject.items():
        assert 100 - losses.total[losses.subject == subject].mean() == pytest.approx(value)


def test_frames_are_decided_each_by_itself():
    """Outputs say 0, 1, 1, 0 of both windows; one frame's class is unknown."""
    windows = cut_windows([classes(range(8), [0, 1, 1, 1, 0, 1, UNKNOWN, 0])], 4)
    outputs = np.tile(np.eye(2, dtype=np.float32)[[0, 1, 1, 0]], (2, 1, 1))
    losses = frame_losses(lambda _: outputs, windows)
    assert (losses.total.tolist(), losses.count.tolist()) == ([100, 0], [4, 3])
    assert losses.value == pytest.approx(100 - 100 / 7)
    assert (losses.metric, losses.higher_is_better) == ("frame accuracy %", True)
    assert losses.start.tolist() == [0, 4]


def test_frames_without_a_class_cannot_be_judged():
    windows = cut_windows([classes(range(4), [UNKNOWN] * 4)], 4)
    with pytest.raises(DataError, match="no frame has a known class"):
        frame_losses(lambda frames: frames, windows)


def test_losses_of_the_first_frames_only():
    """Outputs are the frames: class 1 while they are above 0.5."""
    recordings = [classes([0.9, 0.9, 0.1, 0.1, 0.1], [0] * 5)]

    def predict(frames):
        return np.concatenate([1 - frames, frames], axis=-1)

    windows = cut_windows(recordings, 5)
    wrong = [classification_losses(predict, windows, 2, n).total[0] for n in (1, 2, 5, None)]
    assert wrong == [100, 100, 0, 0]

    frames = np.arange(5, dtype=np.float32)[:, None]
    target = frames + np.array([[np.nan], [7], [2], [np.nan], [5]], np.float32)
    windows = cut_windows([Recording(frames, target, "a", "r")], 5)
    for first, total, count in ((1, 7, 1), (2, 9, 2), (3, 9, 2), (None, 14, 3)):
        losses = value_losses(lambda frames: frames, windows, 1, "m", first)
        assert (losses.total.tolist(), losses.count.tolist()) == ([total], [count])
    assert losses.value == value_score(lambda frames: frames, windows, 1, "m").value


def test_an_answer_that_is_no_number_is_no_answer_left_out():
    frames = np.zeros((5, 1), np.float32)
    windows = cut_windows([Recording(frames, frames, "a", "r")], 5)
    score = value_score(lambda frames: frames * np.nan, windows, 1, "m")
    assert np.isnan(score.value)
    assert score.count == 4
