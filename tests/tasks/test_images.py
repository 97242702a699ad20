"""Images row by row."""

import numpy as np
from sklearn.datasets import load_digits

from edgeseq.tasks import load_task
from edgeseq.tasks.base import UNKNOWN


def test_rows_are_frames_and_the_split_keeps_the_order():
    task, table = load_task("images"), load_digits()
    split = task.split()
    items = (*split.train, *split.validation, *split.test)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [1168, 180, 449]
    np.testing.assert_array_equal([item.frames for item in items], table.images)
    np.testing.assert_array_equal([item.target[-1] for item in items], table.target)
    assert {item.frames.dtype for item in items} == {np.dtype(np.float32)}
    assert {tuple(item.target[:-1]) for item in items} == {(UNKNOWN,) * 7}


def test_the_last_row_decides():
    task = load_task("images")
    truth = [item.target[-1] for item in task.split().test]

    def predict(frames):
        outputs = np.zeros((*frames.shape[:2], 10), np.float32)
        outputs[:, :-1, 0] = 9
        outputs[np.arange(len(truth)), -1, truth] = 1
        return outputs

    assert task.score(predict, task.split().test).value == 100.0


def test_baselines():
    task = load_task("images")
    scores = task.baselines(task.split())
    assert 8 < scores["majority class"].value < 12
    strong = scores["logistic regression"]
    assert strong.value > 85
    assert strong.streamed.sequence_accuracy == strong.value, "its window ends with the image"
