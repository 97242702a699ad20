"""Whatever stands in the TOML or the files: a task, or a ConfigError that lists mistakes."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseq.errors import ConfigError
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Task
from edgeseq.tasks.scoring import cut_windows

GOOD = {
    "files": ["*.csv"],
    "rate_hz": 2.0,
    "inputs": {"ax": "g", "ay": "g"},
    "label": "what",
    "classes": ["a", "b"],
    "window_s": 2.0,
}

ODD_NUMBERS = st.sampled_from([-1, 0, 1, 3, 10**9, 0.3, 1e-9, 1e30, math.nan, math.inf, -math.inf])
ODD_TEXT = st.sampled_from(
    [
        "",
        "ax",
        "ay",
        "what",
        "time",
        "file",
        "folder",
        "file:(",
        "file:(.)",
        "file:x",
        "*",
        "..",
        "/",
    ]
)
ODD_LIST = st.lists(ODD_TEXT | ODD_NUMBERS, max_size=3)
ODD_TABLE = st.dictionaries(
    st.sampled_from(["ax", "by", "test", "test_fraction"]),
    ODD_TEXT | ODD_NUMBERS | ODD_LIST,
    max_size=3,
)
ODD = ODD_NUMBERS | ODD_TEXT | ODD_LIST | ODD_TABLE | st.booleans()
KEYS = [
    *GOOD,
    "target",
    "target_units",
    "horizon_s",
    "samples_per_frame",
    "subject",
    "array",
    "split",
]


def toml_value(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)


def outcome(folder, table):
    """Load the table; return the task or the mistakes."""
    path = Path(folder) / "own.toml"
    path.write_text("\n".join(f"{key} = {toml_value(value)}" for key, value in table.items()))
    try:
        return load_task(str(path))
    except ConfigError as error:
        mistakes = error.mistakes
    assert mistakes
    assert all(mistake and "\n" not in mistake for mistake in mistakes)
    assert len(set(mistakes)) == len(mistakes)
    return mistakes


def check_usable(task: Task):
    """A task that loads can be split, and scored on every side of every fold."""

    def predict(frames):
        return np.zeros((*frames.shape[:2], len(task.output.labels)), np.float32)

    for fold in range(task.folds):
        split = task.split(fold)
        for side in (split.train, split.validation, split.test):
            assert task.score(predict, side).count > 0


def write_files(folder, people=4, rows=40):
    rng = np.random.default_rng(0)
    for person in range(people):
        lines = ["ax,ay,what"]
        lines += [
            f"{x:.3f},{y:.3f},{'ab'[n % 2]}" for n, (x, y) in enumerate(rng.normal(size=(rows, 2)))
        ]
        (Path(folder) / f"{person}.csv").write_text("\n".join(lines))


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from(KEYS), ODD, max_size=4),
    st.sets(st.sampled_from(KEYS), max_size=2),
)
def test_any_toml(changes, left_out):
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        table = {key: value for key, value in (GOOD | changes).items() if key not in left_out}
        found = outcome(folder, table)
        if not isinstance(found, tuple):
            check_usable(found)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 6),
    st.integers(1, 30),
    st.sampled_from(["subject", "time"]),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
)
def test_any_split(people, rows, by, test, validation):
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder, people, rows)
        split = {"by": by, "test_fraction": test, "validation_fraction": validation}
        for goal in ({}, {"label": "folder", "target": "ax", "horizon_s": 1.0}):
            table = GOOD | {"split": split} | goal
            if goal:
                del table["label"], table["classes"]
            found = outcome(folder, table)
            if not isinstance(found, tuple):
                check_usable(found)


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="ax,y\n\r\"'01.-eE ;what\x00é", max_size=60))
def test_any_csv(text):
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        (Path(folder) / "9.csv").write_text("ax,ay,what\n" + text, newline="")
        outcome(folder, GOOD)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["npy", "npz"]), st.integers(0, 400), st.binary(max_size=8))
def test_any_damaged_array_file(kind, place, damage):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"0.{kind}"
        if kind == "npy":
            np.save(path, np.zeros((10, 3), np.float32))
        else:
            np.savez(path, ax=np.zeros(10), ay=np.zeros(10), what=np.array("a"))
        whole = path.read_bytes()
        path.write_bytes(whole[:place] + damage + whole[place + len(damage) :][: 400 - place])
        outcome(folder, GOOD | {"files": [path.name]})


def test_windows_of_a_loaded_task_come_from_one_recording():
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        task = outcome(folder, GOOD)
        windows = cut_windows(task.recordings(), task.window)
        assert windows.frames.shape == (4 * 10, 4, 2)
        assert windows.subject.tolist() == [str(person) for person in range(4) for _ in range(10)]
