"""How good each family is at each task, in fp32 and in int8, beside the baselines.

    python tests/benchmarks/accuracy.py                          # what is missing: hours on 2 cores
    python tests/benchmarks/accuracy.py --task har text --family lstm --seeds 5

A cell is one training from one seed: the run, its graph for one frame a call, that graph's int8
twin, and the score of both files on the test recordings, fed frame by frame as an app feeds them.
Where a task has folds, seed s trains on fold s modulo folds, so the interval is over people, too.
Cells are independent, and each is written into the result file when it is done: an interrupted
run goes on with the same command, here or on any machine that has the file.
"""

import argparse
import dataclasses
import json
import math
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.bench.stats import t975
from edgeseq.errors import UsageError
from edgeseq.families import FAMILIES
from edgeseq.tasks import load_task

TASKS = ("har", "digits", "electricity", "text", "images", "control")
PARAMETERS = 20_000
SEEDS = 5
RECIPE = "int8-dynamic"
RESULT = Path(__file__).parent / "results" / "accuracy.json"


@dataclasses.dataclass(frozen=True)
class Job:
    """What one cell needs to be measured anywhere."""

    task: str
    family: str
    seed: int
    params: int

    @property
    def fold(self) -> int:
        """Split of the task that the cell trains on."""
        return self.seed % load_task(self.task).folds


@dataclasses.dataclass(frozen=True)
class Cell:
    """One trained model's scores on the test recordings."""

    task: str
    family: str
    seed: int
    fold: int
    params: int
    """Asked for; the model has `parameters`."""
    parameters: int = 0
    metric: str = ""
    higher_is_better: bool = True
    fp32: float = math.nan
    int8: float = math.nan
    refused: str = ""
    """Why the family has no model for the task."""


def main() -> None:
    """Measure the cells that are missing, write each as it comes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", default=TASKS)
    parser.add_argument("--family", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--params", type=int, default=PARAMETERS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    table = _table(arguments.json)
    wanted = [
        Job(task, family, seed, arguments.params)
        for seed in range(arguments.seeds)  # every cell gets its first seed before any its second
        for task in arguments.task
        for family in arguments.family
    ]
    done = {_key(cell) for cell in table["cells"]}
    jobs = [job for job in wanted if _key(dataclasses.asdict(job)) not in done]
    for count, cell in enumerate(_work(jobs, arguments.workers, arguments.runs), start=1):
        table["cells"] = sorted([*table["cells"], dataclasses.asdict(cell)], key=_key)
        files.write_json(arguments.json, table)
        print(f"{count} of {len(jobs)}: {_sentence(cell)}", flush=True)
    for task in arguments.task:
        for fold in sorted({job.fold for job in wanted if job.task == task}):
            table["baselines"].setdefault(task, {}).setdefault(str(fold), _baselines(task, fold))
    table["machine"] = dataclasses.asdict(this_machine())
    files.write_json(arguments.json, table)


def _table(path: Path) -> dict[str, Any]:
    """Return the result so far."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return {
        "command": "python tests/benchmarks/accuracy.py",
        "created": time.strftime("%Y-%m-%d"),
        "machine": dataclasses.asdict(this_machine()),
        "versions": {"NumPy": np.__version__, "platform": platform.machine()},
        "recipe": RECIPE,
        "cells": [],
        "baselines": {},
    }


def _key(cell: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(cell[name] for name in ("task", "family", "params", "seed"))


def _work(jobs: Sequence[Job], workers: int, runs: Path) -> Iterator[Cell]:
    """Yield cells as they are done; torch is loaded in fresh processes, never forked."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(measured, job, runs) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def measured(job: Job, runs: Path) -> Cell:
    """Train, write the graph and its int8 twin, and judge both frame by frame."""
    from edgeseq.train import default_settings, default_spec, fit
    from edgeseq.workflows.claims.training import graph_scores

    task = load_task(job.task)
    named = {**dataclasses.asdict(job), "fold": job.fold}
    try:
        spec = default_spec(task, job.family, job.params)
    except UsageError as error:
        return Cell(**named, refused=str(error))
    settings = default_settings(task, job.family, fold=job.fold, seed=job.seed)
    run = runs / f"{job.task}-{job.family}-{job.params}-{job.seed}"
    checkpoint = fit(task, spec, settings, run, resume=True)
    scores, test = graph_scores(checkpoint, task), checkpoint.scores["test"]
    return Cell(
        **named,
        parameters=checkpoint.parameters,
        metric=test.metric,
        higher_is_better=test.higher_is_better,
        fp32=scores.fp32,
        int8=scores.int8,
    )


def _baselines(task: str, fold: int) -> dict[str, float]:
    from edgeseq.workflows.accuracy import baselines

    return {name: score.value for name, score in baselines(task, fold).items()}


def _sentence(cell: Cell) -> str:
    name = f"{cell.task} {cell.family} seed {cell.seed}"
    if cell.refused:
        return f"{name}: {cell.refused}"
    return f"{name}: {cell.metric} fp32 {cell.fp32:.3f}, int8 {cell.int8:.3f}"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half of its 95 % interval by Student's t."""
    half = t975(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), half


if __name__ == "__main__":
    main()
