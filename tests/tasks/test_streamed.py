"""A stream's figures, counted by hand on outputs made by hand."""

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks.base import UNKNOWN, Recording
from edgeseq.tasks.streamed import Listening, judge, play, sliding, standing

TEN_HZ = Listening(rate_hz=10.0, window=1, rule="last")


def classes(*values):
    return np.array(values, np.int64)


def recordings(*targets):
    """Frames count up through all recordings in their order."""
    first, made = 0, []
    for target in targets:
        frames = np.arange(first, first + len(target), dtype=np.float32)[:, None]
        made.append(Recording(frames, classes(*target), "a", "r"))
        first += len(target)
    return made


@pytest.mark.parametrize(
    ("hold", "expected"),
    [
        (1, [0, 0, 1, 0, 1, 1, 1, 2]),
        (2, [-1, 0, 0, 0, 0, 1, 1, 1]),
        (3, [-1, -1, -1, -1, -1, -1, 1, 1]),
        (9, [-1] * 8),
    ],
)
def test_a_decision_stands_once_it_has_held(hold, expected):
    assert standing(classes(0, 0, 1, 0, 1, 1, 1, 2), hold).tolist() == expected


def test_every_figure_by_hand():
    """At 10 Hz, 0 stands at its second frame, 1 at its fourth, 2 never; then 2 again: no change.

    Alarms: 2 at frame 6 of class 1, 0 at frame 12 of class 2. One in the unknown frames is none.
    """
    targets = [classes(0, 0, 0, 0), classes(1, 1, 1, 1, 1), classes(2, 2, 2, 2)]
    targets += [classes(2, 2, UNKNOWN, UNKNOWN)]
    decisions = classes(UNKNOWN, 0, 0, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 2, 2, 0, 1)
    found = judge(decisions, targets, TEN_HZ)
    assert (found.sequences, found.hours) == (4, pytest.approx(17 / 10 / 3600))
    assert found.frame_accuracy == pytest.approx(100 * 7 / 15)
    assert found.sequence_accuracy == 75.0
    assert (found.delay_s, found.delay_p90_s) == (pytest.approx(0.3), pytest.approx(0.38))
    assert found.undecided == pytest.approx(100 / 3)
    assert found.false_alarms_per_hour == pytest.approx(2 / found.hours)
    assert found.held_s == 0.1


def test_nothing_is_ever_decided():
    found = judge(classes(1, 1), [classes(0, 0)], TEN_HZ)
    assert (found.delay_s, found.delay_p90_s, found.undecided) == (None, None, 100.0)
    assert found.false_alarms_per_hour == pytest.approx(1 / found.hours)
    with pytest.raises(DataError, match="no frame has a known class"):
        judge(classes(1), [classes(UNKNOWN)], TEN_HZ)


def test_the_mean_of_the_last_frames_decides_across_recordings():
    """Outputs (v, 0): sums of the last three are 1, 2, 3, 1, -1, -3, so 0 loses two frames late."""
    values = np.array([1, 1, 1, -1, -1, -1], np.float32)
    outputs = np.stack([values, 0 * values], axis=1)
    how = Listening(rate_hz=10.0, window=3, rule="mean")
    assert (how.hold, how.decisions(outputs).tolist()) == (1, [0, 0, 0, 0, 1, 1])
    held = Listening(rate_hz=10.0, window=24, rule="mean")
    assert held.hold == 3
    assert held.decisions(np.repeat(outputs, 30, axis=0))[:4].tolist() == [-1, -1, 0, 0]


def test_recordings_are_played_once_each_as_one_stream():
    seen = []

    def predict(frames):
        seen.append(frames)
        return np.eye(3, dtype=np.float32)[frames[..., 0].astype(int) // 4]

    parts = recordings([0] * 4, [1] * 4, [2] * 4)
    found = play(predict, parts, TEN_HZ, seed=3)
    assert [part.shape for part in seen] == [(1, 12, 1)]
    assert sorted(seen[0].ravel()) == list(range(12))
    assert seen[0].ravel().tolist() != list(range(12))
    assert (found.frame_accuracy, found.delay_s, found.false_alarms_per_hour) == (100.0, 0.1, 0.0)


def test_a_judge_of_windows_slides_along_the_stream():
    """The sum of a window of three, the first frame standing in for what was before it."""
    frames = np.array([[[1], [2], [3], [4]]], np.float32)
    follow = sliding(lambda part: np.broadcast_to(part.sum(1, keepdims=True), part.shape), 3)
    assert follow(frames).ravel().tolist() == [3, 4, 6, 9]
