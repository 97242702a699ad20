import numpy as np
import pytest
from train.toy import Waves

from edgeseq.errors import DataError
from edgeseq.tasks.base import UNKNOWN, Recording
from edgeseq.train.crops import Crops


def recording(first, length, label=0):
    """Frames count up from `first`, so that a crop says where it was cut."""
    frames = np.arange(first, first + length, dtype=np.float32)[:, None]
    return Recording(frames, np.full(length, label), "someone", f"from {first}")


def crops(recordings, length, batch=500, seed=0, augment=False, task=None):
    return Crops(
        task or Waves(), recordings, length=length, batch=batch, seed=seed, augment=augment
    )


def test_crops_are_consecutive_and_start_everywhere_but_never_cross_recordings():
    frames, target = crops([recording(0, 6, 1), recording(100, 5, 2)], 4)(0)
    assert frames.shape == (500, 4, 1)
    assert (np.diff(frames[..., 0], axis=1) == 1).all()
    assert set(frames[:, 0, 0]) == {0, 1, 2, 100, 101}
    assert (target == np.where(frames[..., 0] < 50, 1, 2)).all()


def test_a_recording_shorter_than_a_crop_is_filled_up_with_frames_that_do_not_count():
    frames, target = crops([recording(7, 2, 1)], 4, batch=1)(0)
    assert frames[0, :, 0].tolist() == [7, 8, 8, 8]
    assert target.tolist() == [[1, 1, UNKNOWN, UNKNOWN]]


def test_filled_up_values_are_nan():
    values = Recording(np.ones((2, 1), np.float32), np.ones((2, 1), np.float32), "a", "a")
    _, target = crops([values], 3, batch=1)(0)
    assert target[0, :2, 0].tolist() == [1, 1]
    assert np.isnan(target[0, 2, 0])


def test_a_step_is_a_function_of_seed_and_step_alone():
    recordings = [recording(0, 50)]
    a, b = crops(recordings, 8), crops(recordings, 8)
    for step in range(3):
        a(step)
    np.testing.assert_array_equal(a(3)[0], b(3)[0])
    assert (b(3)[0] != b(4)[0]).any()
    assert (b(3)[0] != crops(recordings, 8, seed=1)(3)[0]).any()


def test_frames_are_augmented_and_the_recordings_stay_as_they_were():
    task = Waves()
    recordings = task.split().train
    before = [item.frames.copy() for item in recordings]
    plain, _ = crops(recordings, 20)(0)
    varied, _ = crops(recordings, 20, augment=True, task=task)(0)
    assert task.calls == 1
    assert 0 < np.abs(varied / plain - 1).mean() < 0.1
    for old, item in zip(before, recordings, strict=True):
        np.testing.assert_array_equal(old, item.frames)


def test_no_recordings_is_an_error_that_names_the_task():
    with pytest.raises(DataError, match="task waves: its training split has no recordings"):
        crops([], 4)
