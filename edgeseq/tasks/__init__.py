"""Tasks: data, split, metric and the baselines that stand beside every model."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path

from edgeseq.errors import UsageError
from edgeseq.tasks import adding, digits, glucose, har, images, order, own, recall, text
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

TASKS: dict[str, Callable[[Progress | None], Task]] = {
    "har": har.load,
    "glucose": glucose.load,
    "text": text.load,
    "digits": digits.load,
    "images": images.load,
    "recall": recall.load,
    "adding": adding.load,
    "order": order.load,
}
"""Every task by name; the first is the default."""


def task_names() -> tuple[str, ...]:
    """Return the names that `load_task` knows."""
    return tuple(TASKS)


def list_tasks() -> dict[str, Task]:
    """Return every task by name; nothing is fetched."""
    return {name: load(None) for name, load in TASKS.items()}


def load_task(name: str, progress: Progress | None = None) -> Task:
    """Return the task called `name`, or the user's own from a path that ends in `.toml`.

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
        return TASKS[name](progress)
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
