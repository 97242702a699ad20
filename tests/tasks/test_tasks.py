"""The registry, reference streams, and what an import costs."""

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from edgeseq.errors import UsageError
from edgeseq.tasks import Recording, Task, list_tasks, load_task, stream, task_names
from edgeseq.train.settings import FitSettings


def test_names():
    tasks = list_tasks()
    assert task_names() == tuple(tasks) == tuple(task.name for task in tasks.values())
    assert task_names()[0] == "har"
    assert all(task.summary and task.source and task.folds for task in tasks.values())
    for task in tasks.values():
        assert task.training.keys() <= {field.name for field in fields(FitSettings)}
        assert len(task.frame.units) == len(task.frame.channels)
        assert task.output.decision


@pytest.mark.parametrize("name", task_names())
def test_every_task_keeps_the_protocol(name):
    members = {member for member in vars(Task) if not member.startswith("_")}
    assert {member for member in members if not hasattr(load_task(name), member)} == set()


def test_a_size_in_the_name():
    task = load_task("recall-64")
    assert (task.name, task.window) == ("recall-64", 8 + 64 + 1)
    assert (load_task("adding-8").name, load_task("adding-8").span) == ("adding-8", 8)
    with pytest.raises(UsageError, match='no task "har-3"'):
        load_task("har-3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("glucos", 'no task "glucos". Did you mean "glucose"? List them with: edgeseq tasks'),
        ("xyz", 'no task "xyz". List them with: edgeseq tasks'),
    ],
)
def test_unknown_name(name, message):
    with pytest.raises(UsageError) as caught:
        load_task(name)
    assert str(caught.value) == message


def test_import_is_light():
    code = "import sys, edgeseq.tasks; print({'sklearn', 'torch', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_stream_joins_whole_recordings_and_repeats_them():
    def recording(start, length):
        frames = np.arange(start, start + length, dtype=np.float32)[:, None]
        return Recording(frames, frames, "a", "r")

    parts = [recording(0, 10), recording(100, 20), recording(200, 30)]
    joined = stream(parts, 150, seed=1)[:, 0]
    assert joined.shape == (150,)
    assert sorted(joined[:60]) == [*range(10), *range(100, 120), *range(200, 230)]
    np.testing.assert_array_equal(joined[60:120], joined[:60])
    assert (np.diff(joined[:60]) != 1).sum() == 2  # recordings stay whole
    np.testing.assert_array_equal(stream(parts, 7, seed=1)[:, 0], joined[:7])
    orders = {tuple(stream(parts, 60, seed=seed)[:, 0]) for seed in range(20)}
    assert len(orders) > 1
