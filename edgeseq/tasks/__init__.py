"""Tasks: data, split, metric and the baselines that stand beside every model."""

import difflib
import os
from importlib import import_module
from pathlib import Path

from edgeseq.errors import UsageError
from edgeseq.tasks import own
from edgeseq.tasks.base import Predict, Progress, Recording, Score, Split, Task, stream

__all__ = [
    "TASKS",
    "Predict",
    "Progress",
    "Recording",
    "Score",
    "Split",
    "Task",
    "list_tasks",
    "load_task",
    "restored_name",
    "stored_name",
    "stream",
    "task_names",
]

TASKS = (
    "har",
    "digits",
    "glucose",
    "electricity",
    "price",
    "volatility",
    "text",
    "images",
    "control",
    "recall",
    "adding",
    "order",
)
"""Every task by name, the first by default: a task is one file here and one line there."""


SIZED = ("recall", "adding")
"""Generated tasks of any length: `recall-128` has 128 frames between the mark and the question."""


def _load(name: str, progress: Progress | None, *size: int) -> Task:
    task: Task = import_module(f"edgeseq.tasks.{name}").load(progress, *size)
    return task


def task_names() -> tuple[str, ...]:
    """Return the names that `load_task` knows."""
    return TASKS


def list_tasks() -> dict[str, Task]:
    """Return every task by name; nothing is fetched."""
    return {name: _load(name, None) for name in TASKS}


def load_task(name: str, progress: Progress | None = None) -> Task:
    """Return the task called `name`, or the user's own from a path that ends in `.toml`.

    Some generated tasks have a size, which may follow their name: `recall-128`.

    A named task's data is fetched when it is first needed, and `progress` told of it; the user's
    files are read at once, so that every mistake in the TOML shows.

    Raises:
        UsageError: There is no such task, or no such TOML.
        ConfigError: The TOML, or the data it names, has mistakes.
    """
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise UsageError(f"no file {name}; name a TOML that exists, or a task: edgeseq tasks")
        return own.load(Path(name))
    if name in TASKS:
        return _load(name, progress)
    base, _, size = name.rpartition("-")
    if base in SIZED and size.isdecimal() and int(size) > 0:
        return _load(base, progress, int(size))
    close = difflib.get_close_matches(name, TASKS, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise UsageError(f'no task "{name}".{hint} List them with: edgeseq tasks')


def stored_name(name: str, folder: Path) -> str:
    """Return a task's name as a file in `folder` keeps it: a TOML's path, seen from there.

    So run and bundle find the data from any working directory, and tell no more of this machine
    than they must.
    """
    if not name.endswith(".toml"):
        return name
    return Path(os.path.relpath(name, folder)).as_posix()


def restored_name(stored: str, folder: Path) -> str:
    """Return what `load_task` takes, from what a file in `folder` keeps."""
    return os.path.normpath(folder / stored) if stored.endswith(".toml") else stored
