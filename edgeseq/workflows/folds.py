"""The evidence behind a table: every fold and seed of a task, trained run by run, resumable."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq import files
from edgeseq.errors import EdgeseqError, UsageError
from edgeseq.specs import parse
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Score
from edgeseq.workflows.accuracy import baselines


@dataclass(frozen=True)
class FoldRun:
    """One trained model and its scores."""

    family: str
    fold: int
    seed: int
    parameters: int
    best_step: int
    seconds: float
    validation: Score
    """Of the best look, so chosen by itself: optimistic."""
    last_validation: float
    """Of the last look, which nothing was chosen by."""
    test: Score


@dataclass(frozen=True)
class Difference:
    """How much better one predictor does than another on the same subjects."""

    mean: float
    standard_error: float
    """Over subjects: what it says of other people. Seeds are averaged before."""
    subjects: int


@dataclass(frozen=True)
class _Job:
    """What a worker process needs to train one model; a task itself cannot be sent."""

    task: str
    family: str
    params: int
    changes: Mapping[str, Any]
    run_dir: Path


def run_folds(
    task: str,
    families: Sequence[str],
    params: int,
    seeds: Sequence[int],
    out_dir: Path,
    *,
    folds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | None = None,
    workers: int = 1,
    progress: Callable[[FoldRun], None] | None = None,
) -> list[FoldRun]:
    """Train every family on every fold with every seed; return the runs in that order.

    Each run has its own directory in `out_dir`. Runs that are finished there are read, not
    trained again, and one that was interrupted goes on, so calling again resumes all.
    `changes` are settings that differ from the defaults. `workers` are processes.

    Raises:
        UsageError: `workers` is below 1.
        CheckpointError: `out_dir` has runs with other sizes or settings.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers cannot work; give --workers 1 or more")
    chosen = range(load_task(task).folds) if folds is None else folds
    jobs = [
        _Job(
            task,
            family,
            params,
            {**(changes or {}), "fold": fold, "seed": seed},
            out_dir / f"{family}-fold{fold}-seed{seed}",
        )
        for family, fold, seed in product(families, chosen, seeds)
    ]
    done = {}
    for job, run in _work(jobs, workers):
        done[job.run_dir] = run
        if progress is not None:
            progress(run)
    return [done[job.run_dir] for job in jobs]


def _work(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, FoldRun]]:
    """Yield jobs as they are done; torch is loaded in a fresh process, never forked."""
    if workers == 1:
        yield from ((job, _train(job)) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_train, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _train(job: _Job) -> FoldRun:
    from edgeseq.train import default_settings, default_spec, fit

    task = load_task(job.task)
    spec = default_spec(task, job.family, job.params)
    settings = default_settings(task, job.family, **job.changes)
    checkpoint = fit(task, spec, settings, job.run_dir, resume=True)
    return FoldRun(
        family=job.family,
        fold=checkpoint.fold,
        seed=checkpoint.seed,
        parameters=checkpoint.parameters,
        best_step=checkpoint.best_step,
        seconds=checkpoint.seconds,
        validation=checkpoint.scores["validation"],
        last_validation=checkpoint.history[-1].validation,
        test=checkpoint.scores["test"],
    )


def fold_baselines(task: str, folds: Iterable[int], out_dir: Path) -> list[dict[str, Score]]:
    """Return the scores of the task's baselines on each fold's test split, kept in `out_dir`."""
    scores = []
    for fold in folds:
        path = out_dir / f"baselines-fold{fold}.json"
        if not path.exists():
            found = baselines(task, fold)
            files.write_json(path, {name: asdict(score) for name, score in found.items()})
        scores.append(_read_scores(path))
    return scores


def _read_scores(path: Path) -> dict[str, Score]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {name: parse(score, Score, where=str(path)) for name, score in table.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise EdgeseqError(f"cannot read {path}: {error}. Delete it and try again") from None


def subject_means(scores: Iterable[Score]) -> dict[str, float]:
    """Return each subject's mean over the scores that it is part of."""
    values: dict[str, list[float]] = {}
    for score in scores:
        for subject, value in score.per_subject.items():
            values.setdefault(subject, []).append(value)
    return {subject: float(np.mean(values[subject])) for subject in sorted(values)}


def paired_difference(a: Iterable[Score], b: Iterable[Score]) -> Difference:
    """Return `a` minus `b` on the subjects of both, each subject counting once."""
    first, second = subject_means(a), subject_means(b)
    subjects = first.keys() & second.keys()
    if len(subjects) < 2:
        raise UsageError(f"a standard error needs 2 subjects in both; there are {len(subjects)}")
    differences = np.array([first[subject] - second[subject] for subject in sorted(subjects)])
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return Difference(float(differences.mean()), float(error), len(differences))
