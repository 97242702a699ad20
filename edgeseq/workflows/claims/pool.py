"""The local engine: worker processes, of which any may die without harm to the others' cells."""

import signal
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.workflows.claims.kinds import Measure, measure, prepare

TRIES = 3
"""Workers that may die of a cell before it counts as failed."""


Outcomes = Generator[Outcome, None, None]


class Engine(Protocol):
    """Runs cells anywhere; the results are the same everywhere."""

    @property
    def workers(self) -> int:
        """Cells that run at a time."""

    def run(self, cells: Sequence[Cell]) -> Outcomes:
        """Yield outcomes as they come; where the iterator is closed, what runs is ended."""


class Waiting:
    """Cells that no worker has yet, in their order; those whose worker died come first."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells, self._deaths = list(reversed(cells)), Counter[Cell]()

    def __len__(self) -> int:
        return len(self._cells)

    def next(self) -> Cell:
        """Take the cell whose turn it is."""
        return self._cells.pop()

    def died(self, cell: Cell) -> Outcome | None:
        """Put a cell back whose worker died; return its outcome where that was the last time."""
        self._deaths[cell] += 1
        if self._deaths[cell] >= TRIES:
            return Outcome(cell, {"failed": f"{TRIES} workers died of it"}, 0.0)
        self._cells.append(cell)
        return None


class Pool:
    """One process a worker, each in an executor of its own: a death breaks no other's."""

    def __init__(self, folder: Path, workers: int, measure: Measure = measure) -> None:
        self.folder, self.workers, self.measure = folder, workers, measure

    def run(self, cells: Sequence[Cell]) -> Outcomes:
        """Yield outcomes as they come."""
        waiting = Waiting(cells)
        running: dict[Future[Outcome], tuple[Cell, ProcessPoolExecutor]] = {}
        idle = [_worker() for _ in range(min(self.workers, len(cells)))]
        try:
            while waiting or running:
                while waiting and idle:
                    cell, worker = waiting.next(), idle.pop()
                    running[worker.submit(self.measure, cell, self.folder)] = cell, worker
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    cell, worker = running.pop(future)
                    idle.append(worker)  # before anything is yielded: it is ended with the others
                    outcome: Outcome | None
                    try:
                        outcome = future.result()
                    except BrokenProcessPool:
                        worker.shutdown(wait=False)
                        idle[-1] = _worker()
                        outcome = waiting.died(cell)
                    if outcome:
                        yield outcome
        finally:
            for worker in (*idle, *(worker for _, worker in running.values())):
                _end(worker)


def _worker() -> ProcessPoolExecutor:
    """Start a process that loads torch itself, never forked, and leaves ctrl-C to its parent."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()


def _end(worker: ProcessPoolExecutor) -> None:
    """End a worker at once: what it did not finish is on disk up to its last look."""
    processes = list((worker._processes or {}).values())
    worker.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
