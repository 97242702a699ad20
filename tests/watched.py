"""A way to measure a cell that a test watches, holds and kills; workers import it by name.

All is said by files in a folder: KEY.began has a line a beginning, the process; while there is
KEY.hold the cell does not end, and where there is KEY.kills it kills its worker.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.workflows.claims.kinds import Measure


def cells(count: int, task: str = "adding-8") -> list[Cell]:
    """Return trainings of a second, each with a score of its own."""
    how = {"family": "lstm", "params": 1000, "lr": 0.004, "length": 0.01}
    return [Cell("train", {"task": task, "fold": n % 5, "seed": n, **how}) for n in range(count)]


def watched(log: Path, then: Measure | None = None) -> Measure:
    """Return what does as the files say, then `then`; without it the result is the cell's seed."""
    return partial(_measure, log, then)


def _measure(log: Path, then: Measure | None, cell: Cell, folder: Path) -> Outcome:
    with (log / f"{cell.key}.began").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if (log / f"{cell.key}.kills").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    while (log / f"{cell.key}.hold").exists():
        time.sleep(0.02)
    if then:
        return then(cell, folder)
    result = {"value": cell.settings["seed"], "higher_is_better": True, "validation": 0.0}
    return Outcome(cell, result, 1.0)


def hold(log: Path, cell: Cell) -> Path:
    """Return the file that must go before `cell` ends."""
    file = log / f"{cell.key}.hold"
    file.touch()
    return file


def began(log: Path, cell: Cell) -> list[int]:
    """Return the processes in which a cell began."""
    file = log / f"{cell.key}.began"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that happens in another process."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it never happened"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Say whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
