"""What a budget buys, and the trainings that claims share: declared before anything is run.

Every family is tuned by the same search: three peak learning rates at the task's own number of
steps, then the best of them with two thirds more; on fold 0, one seed that is used for nothing
else, judged on the validation split. What wins there is used for every fold, seed and size. The
cheaper budgets do not search: all families have the same rate and length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from edgeseq.claims import Budget
from edgeseq.claims.cell import Cell, Result, once
from edgeseq.claims.effects import Draw, Effect, Values, difference, effect
from edgeseq.tasks import load_task

Item = TypeVar("Item")

RATES = (0.0013, 0.004, 0.012)
"""Peak learning rates of the search."""
RATE = 0.004
"""Where nothing is searched."""
LONGER = 1.6667
"""Times the task's own number of steps: the second length of the search."""
TUNING_SEED = 1000
TUNED_ON = {"recall": "recall-128", "adding": "adding-128"}
"""Tasks of any length are tuned at one of them."""
GENERATED = ("recall", "adding", "order")
"""A fold of these is other data already, and has one seed."""


@dataclass(frozen=True)
class Scale:
    """What a budget buys, the same for every claim and family."""

    name: Budget
    params: int
    """Parameters of models that have the same number of them."""
    folds: int
    seeds: int
    """Of a task with one split."""
    repeats: int
    """Seeds a fold of a task that has folds."""
    length: float
    """Share of the task's own number of steps."""
    generated: float
    """The same of generated tasks, which are not learned at all before they are."""
    tuned: bool
    """Whether learning rate and length are searched."""
    repetitions: float
    """Share of the repetitions of timings."""
    minutes: float
    """Of one visit: a shard, whose cells are kept before the next begins."""

    def some(self, axis: Sequence[Item]) -> tuple[Item, ...]:
        """Return an axis as fine as the budget allows: both ends, or all of it."""
        return tuple(axis) if self.name == "full" else (axis[0], axis[-1])

    def draws(self, task: str) -> tuple[Draw, ...]:
        """Return folds and seeds of a task's trainings, the ones that tell most first."""
        folds = load_task(task).folds
        if folds == 1:
            return tuple((0, seed) for seed in range(self.seeds))
        used = min(folds, self.folds)
        repeats = 1 if base(task) in GENERATED else self.repeats
        return tuple(
            (fold, (fold + repeat) % used) for repeat in range(repeats) for fold in range(used)
        )


SCALES: dict[str, Scale] = {
    "10m": Scale("10m", 5_000, 3, 3, 1, 0.15, 0.5, tuned=False, repetitions=0.1, minutes=10),
    "1h": Scale("1h", 10_000, 3, 3, 1, 0.4, 0.8, tuned=False, repetitions=0.3, minutes=60),
    "full": Scale("full", 20_000, 5, 5, 2, 1.0, 1.0, tuned=True, repetitions=1.0, minutes=40),
}


class Plan:
    """Makes the cells of claims, from a budget and from what the search has found so far."""

    def __init__(self, scale: Scale, get: Callable[[Cell], Result | None]) -> None:
        """Take `get`, which returns a cell's result, or none where there is none."""
        self.scale, self.get = scale, get
        self.searched: dict[tuple[str, str], tuple[Cell, ...]] = {}
        """Cells of the search, as far as they can be known, by task and family."""

    def trained(
        self,
        task: str,
        family: str,
        params: int | None = None,
        *,
        share: float = 1.0,
        **changes: Any,  # noqa: ANN401 - JSON values
    ) -> tuple[Cell, ...]:
        """Return the trainings of a family on a task, over folds and seeds.

        While the search has not ended their learning rate is none: they are not `ready`.

        Args:
            task: its name, which may end in a size.
            family: of the model.
            params: at most so many; none: the budget's.
            share: of the training set.
            changes: `positions`, `window`, `broken`.
        """
        chosen = self._chosen(task, family)
        if share != 1:
            changes["share"] = share
        return tuple(
            Cell(
                "train",
                {
                    "task": task, "family": family, "params": params or self.scale.params,
                    "fold": fold, "seed": seed, **chosen, **changes,
                },
            )
            for fold, seed in self.scale.draws(task)
        )  # fmt: skip

    def quantized(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Return the cells that judge the step graphs of trainings, in fp32 and in int8."""
        return tuple(Cell("quantized", cell.settings) for cell in cells)

    def values(self, cells: Sequence[Cell], name: str = "value") -> Values:
        """Return a number of every training that is there, by fold and seed."""
        found = {
            (cell.settings["fold"], cell.settings["seed"]): result.get(name)
            for cell in cells
            if (result := self.get(cell)) is not None
        }
        return {draw: value for draw, value in found.items() if value is not None}

    def level(self, cells: Sequence[Cell], unit: str) -> Effect | None:
        """Return the mean score of trainings with its interval."""
        return effect(self.values(cells), unit)

    def gain(self, first: Sequence[Cell], second: Sequence[Cell]) -> Effect | None:
        """Return how much better `first` is: points of a percentage, or per cent of an error."""
        results = [result for cell in second if (result := self.get(cell)) is not None]
        if not results:
            return None
        better = bool(results[0]["higher_is_better"])
        return gained(self.values(first), self.values(second), higher_is_better=better)

    def _chosen(self, task: str, family: str) -> dict[str, Any]:
        """Return the learning rate and the length that the search chose."""
        length = self.scale.generated if base(task) in GENERATED else self.scale.length
        if not self.scale.tuned:
            return {"lr": RATE, "length": length}
        task = TUNED_ON.get(base(task), task)
        cells = [self._search(task, family, rate, length) for rate in RATES]
        best = self._best(cells)
        if best is not None:
            longer = self._search(task, family, best.settings["lr"], round(LONGER * length, 4))
            cells.append(longer)
            best = self._best(cells)
        self.searched[task, family] = tuple(cells)
        if best is None:
            return {"lr": None, "length": None}
        return {name: best.settings[name] for name in ("lr", "length")}

    def _search(self, task: str, family: str, rate: float, length: float) -> Cell:
        return Cell(
            "tune",
            {
                "task": task, "family": family, "params": self.scale.params,
                "fold": 0, "seed": TUNING_SEED, "lr": rate, "length": length,
            },
        )  # fmt: skip

    def _best(self, cells: Sequence[Cell]) -> Cell | None:
        """Return the best of `cells` by validation; none while one of them is missing."""
        results = [self.get(cell) for cell in cells]
        known = [(cell, result) for cell, result in zip(cells, results, strict=True) if result]
        if len(known) < len(cells):
            return None
        sign = 1 if known[0][1].get("higher_is_better", True) else -1
        scored = [(sign * r["validation"], c) for c, r in known if r["validation"] is not None]
        return max(scored, key=lambda pair: pair[0])[1] if scored else cells[1]


POINTS, PER_CENT = "points", "%"
MARGIN = {POINTS: 2.0, PER_CENT: 3.0}
"""Differences that matter, by their unit: below them nobody would choose another model. People
differ by 7 to 8 points on `har`."""


def gained(first: Values, second: Values, *, higher_is_better: bool) -> Effect | None:
    """Return how much better scores are: points of a percentage, or per cent of an error."""
    if higher_is_better or not second:
        return difference(first, second, POINTS)
    whole = sum(second.values()) / len(second) / 100
    first, second = ({draw: v / whole for draw, v in side.items()} for side in (first, second))
    return difference(second, first, PER_CENT)


def ready(cell: Cell) -> bool:
    """Say whether all is known that a cell is made from."""
    return cell.settings.get("lr", 0) is not None


def base(task: str) -> str:
    """Return a task's name without its size."""
    head, _, size = task.rpartition("-")
    return head if head and size.isdecimal() else task


def all_cells(plan: Plan, grid: Callable[[Plan], Sequence[Cell]]) -> tuple[Cell, ...]:
    """Return a claim's cells, the search that they wait for among them."""
    cells = grid(plan)
    return once([*(cell for found in plan.searched.values() for cell in found), *cells])
