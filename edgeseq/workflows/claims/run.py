"""Running claims: what is missing of their grids, resumable cell by cell, and what it comes to."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgeseq import __version__
from edgeseq.bench.machine import this_machine
from edgeseq.claims import Budget
from edgeseq.claims.cell import Cell, Outcome, once
from edgeseq.claims.claim import Claim, load_claim
from edgeseq.claims.plan import SCALES, Plan, Scale, all_cells, ready
from edgeseq.claims.store import Store
from edgeseq.errors import UsageError
from edgeseq.workflows.claims.kinds import KINDS, measure
from edgeseq.workflows.claims.pool import Engine, Outcomes, Pool

CELLS = "cells"


@dataclass(frozen=True)
class State:
    """How far a run is."""

    done: int
    total: int
    """Cells, the ones among them that the search has yet to name."""
    left_s: float | None
    """Estimated time to go; none before the first cell has ended."""
    last: Outcome | None


Progress = Callable[[State], None]


@dataclass(frozen=True)
class Run:
    """Claims over the cells of a folder."""

    claims: tuple[Claim, ...]
    scale: Scale
    store: Store

    def plan(self) -> Plan:
        """Return the plan, with all that the search has found so far."""
        return Plan(self.scale, self.store.get)

    def cells(self) -> tuple[Cell, ...]:
        """Return every claim's cells as far as they are known; first what tells most."""
        plan = self.plan()
        found = [cell for claim in self.claims for cell in all_cells(plan, claim.grid)]
        return tuple(sorted(once(found), key=_rank))

    def missing(self) -> list[Cell]:
        """Return the cells that could be measured now and are not."""
        return [cell for cell in self.cells() if ready(cell) and cell not in self.store]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return all(cell in self.store for cell in self.cells())


def open_run(names: Sequence[str], budget: Budget, out: Path) -> Run:
    """Return claims by name over what `out` holds."""
    claims = tuple(load_claim(name) for name in names)
    return Run(claims, SCALES[budget], Store(out / CELLS, _about()))


def measure_claims(
    run: Run,
    out: Path,
    *,
    engine: Engine | None = None,
    workers: int = 2,
    minutes: float | None = None,
    progress: Progress | None = None,
) -> bool:
    """Measure what is missing until all is there or time is up; return whether all is there.

    Each outcome is on disk before the next is waited for. Cells that take times run by themselves,
    here and before the others, whatever the engine. After `minutes`, none: the budget's, no cell
    begins any more, and what runs is ended.
    """
    engine = engine or Pool(out, workers)
    ends = time.monotonic() + 60 * (run.scale.minutes if minutes is None else minutes)
    while cells := run.missing():
        alone = [cell for cell in cells if KINDS[cell.kind].alone]
        batch = (Pool(out, 1), alone) if alone else (engine, cells)
        with closing(_outcomes(*batch, ends)) as outcomes:
            for outcome in outcomes:
                run.store.add(outcome)
                if progress:
                    progress(state(run, engine.workers, outcome))
        if time.monotonic() > ends:
            break
    return run.complete


def _outcomes(engine: Engine, cells: Sequence[Cell], ends: float) -> Outcomes:
    with closing(engine.run(cells)) as outcomes:
        for outcome in outcomes:
            yield outcome
            if time.monotonic() > ends:
                return


def state(run: Run, workers: int, last: Outcome | None = None) -> State:
    """Return how far a run is, and how long it takes from how long its like took."""
    cells = run.cells()
    left = [cell for cell in cells if cell not in run.store]
    took: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for outcome in run.store:
        for like in _likes(outcome.cell):
            took[like].append(outcome.seconds)
    known = [next((took[like] for like in _likes(cell) if took[like]), []) for cell in left]
    if left and not all(known):
        return State(len(cells) - len(left), len(cells), None, last)
    seconds = sum(
        sum(times) / len(times) / (1 if KINDS[cell.kind].alone else workers)
        for cell, times in zip(left, known, strict=True)
    )
    return State(len(cells) - len(left), len(cells), seconds, last)


def _likes(cell: Cell) -> list[tuple[Any, ...]]:
    """Return what a cell's time may be told from, the closest first."""
    task, family = cell.settings.get("task"), cell.settings.get("family")
    return [(cell.kind, task, family), (cell.kind, task), (cell.kind,), ()]


def find_cell(run: Run, key: str) -> Cell:
    """Return the cell whose key begins with `key`."""
    found = [cell for cell in run.cells() if cell.key.startswith(key)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found)} cells of these claims and this budget have a key that begins with "
            f"{key}; the report names them all"
        )
    return found[0]


def measure_again(run: Run, key: str, out: Path) -> dict[str, Any]:
    """Measure one cell again, from nothing; return it beside what is kept of it."""
    cell = find_cell(run, key)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        outcome = measure(cell, Path(folder))
    kept = run.store.get(cell)
    return {
        "key": cell.key,
        "kind": cell.kind,
        "settings": dict(cell.settings),
        "result": dict(outcome.result),
        "seconds": round(outcome.seconds, 2),
        "kept": kept,
        "same": kept == outcome.result if kept else None,
    }


def _rank(cell: Cell) -> tuple[int, int]:
    """Return when a cell's turn comes: the search first, then first seeds before second ones."""
    if cell.kind == "tune":
        return 0, 0
    fold, seed = (int(cell.settings.get(name, 0)) for name in ("fold", "seed"))
    return 1, 100 * (seed != fold) * bool(fold) + seed


def _about() -> dict[str, Any]:
    """Return machine and versions, for the head of files."""
    machine = asdict(this_machine())
    kept = (
        "cpu", "architecture", "flags", "cores", "board", "system", "virtualised", "python",
        "numpy", "onnxruntime", "providers",
    )  # fmt: skip
    return {
        "edgeseq": __version__,
        **{name: machine[name] for name in kept},
        "torch": version("torch"),
    }
