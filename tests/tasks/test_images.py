"""Images row by row."""

import numpy as np
from sklearn.datasets import load_digits

from edgeseq.tasks import load_task


def test_rows_are_frames_and_the_split_keeps_the_order():
    task, table = load_task("images"), load_digits()
    split = task.split()
    items = (*split.train, *split.validation, *split.test)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [1168, 180, 449]
    np.testing.assert_array_equal([item.frames for item in items], table.images)
    np.testing.assert_array_equal([item.target[-1] for item in items], table.target)
    assert {item.frames.dtype for item in items} == {np.dtype(np.float32)}


def test_the_last_row_decides():
    task = load_task("images")
    truth = [item.target[-1] for item in task.split().test]

    def predict(frames):
        outputs = np.zeros((*frames.shape[:2], 10), np.float32)
        outputs[:, :-1, 0] = 9
        outputs[np.arange(len(truth)), -1, truth] = 1
        return outputs

    assert task.score(predict, task.split().test).value == 100.0


def test_varied_images_are_moved_by_less_than_a_pixel():
    """One dot of ink: its middle stays within a pixel, and its ink within what gain allows."""
    dot = np.zeros((500, 8, 8), np.float32)
    dot[:, 3, 4] = 100
    varied = load_task("images").augment(dot, np.random.default_rng(0))
    ink = np.where(varied > 5, varied, 0)
    rows, columns = np.indices((8, 8))
    total = ink.sum(axis=(1, 2))
    middle = [(ink * place).sum(axis=(1, 2)) / total for place in (rows, columns)]
    for found, place in zip(middle, (3, 4), strict=True):
        assert 0.5 < np.abs(found - place).max() < 0.8
        assert abs((found - place).mean()) < 0.05
    assert abs(total.mean() - 100) < 5


def test_baselines():
    task = load_task("images")
    scores = task.baselines(task.split())
    assert 8 < scores["majority class"].value < 12
    strong = scores["logistic regression"]
    assert strong.value > 85
    assert strong.streamed.sequence_accuracy == strong.value, "its window ends with the image"
