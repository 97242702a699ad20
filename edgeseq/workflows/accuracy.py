"""A bundle's variant judged on its task, as the app would run it."""

from collections.abc import Sequence
from functools import cache, partial

from edgeseq.bundle import Accuracy
from edgeseq.runtime import StreamModel, predict
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Recording, Score, Task


def judge(model: StreamModel, task: Task, recordings: Sequence[Recording]) -> Score:
    """Score a loaded variant on `recordings`."""
    return task.score(partial(predict, model), recordings)


def as_accuracy(score: Score) -> Accuracy:
    """Return what a manifest records of a score."""
    return Accuracy(
        metric=score.metric,
        value=round(score.value, 4),
        higher_is_better=score.higher_is_better,
        count=score.count,
    )


@cache
def baselines(task: str, fold: int) -> dict[str, Score]:
    """Fit and score the baselines of a task's fold: once a process, they take seconds."""
    loaded = load_task(task)
    return loaded.baselines(loaded.split(fold))
