"""A bundle's variant judged on its task, as the app would run it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from edgeseq.contract import Contract
from edgeseq.measured import Accuracy
from edgeseq.runtime import StreamModel
from edgeseq.runtime.predict import Predictor
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Losses, Recording, Score, Task


def scorable(contract: Contract, task: Task) -> bool:
    """Say whether a graph can be fed the task's windows: without state, one must fit one call."""
    if contract.form != "sequence" or contract.chunk_max is None:
        return True
    return task.window is not None and task.window <= contract.chunk_max


def judge(model: StreamModel, task: Task, recordings: Sequence[Recording]) -> Score:
    """Score a loaded variant on `recordings`."""
    return task.score(Predictor(model), recordings)


def as_accuracy(score: Score | Losses) -> Accuracy:
    """Return what a manifest records of a score."""
    return Accuracy(
        metric=score.metric,
        value=round(score.value, 4),
        higher_is_better=score.higher_is_better,
        count=int(np.sum(score.count)),
    )


@cache
def baselines(task: str, fold: int) -> dict[str, Score]:
    """Fit and score the baselines of a task's fold: once a process, they take seconds.

    They are fitted on training and validation people together, as the networks are in the end.
    """
    loaded = load_task(task)
    split = loaded.split(fold)
    return loaded.baselines(replace(split, train=(*split.train, *split.validation)))
