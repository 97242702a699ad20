"""The local engine: worker processes, of which any may die without harm to the others' cells."""

import signal
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.workflows.claims.kinds import measure, prepare

TRIES = 3
"""Workers that may die of a cell before it counts as failed."""


Outcomes = Generator[Outcome, None, None]


class Engine(Protocol):
    """Runs cells anywhere; the results are the same everywhere."""

    def run(self, cells: Sequence[Cell]) -> Outcomes:
        """Yield outcomes as they come; where the iterator is closed, what runs is ended."""


class Pool:
    """One process a worker, each in an executor of its own: a death breaks no other's."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.workers = folder, workers

    def run(self, cells: Sequence[Cell]) -> Outcomes:
        """Yield outcomes as they come."""
        waiting, deaths = list(reversed(cells)), dict[Cell, int]()
        running: dict[Future[Outcome], tuple[Cell, ProcessPoolExecutor]] = {}
        idle = [_worker() for _ in range(min(self.workers, len(cells)))]
        try:
            while waiting or running:
                while waiting and idle:
                    cell, worker = waiting.pop(), idle.pop()
                    running[worker.submit(measure, cell, self.folder)] = cell, worker
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    cell, worker = running.pop(future)
                    try:
                        yield future.result()
                        idle.append(worker)
                    except BrokenProcessPool:
                        worker.shutdown(wait=False)
                        idle.append(_worker())
                        deaths[cell] = deaths.get(cell, 0) + 1
                        if deaths[cell] < TRIES:
                            waiting.append(cell)
                        else:
                            yield Outcome(cell, {"failed": f"{TRIES} workers died of it"}, 0.0)
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
