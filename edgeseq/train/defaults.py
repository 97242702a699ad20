"""Sizes and settings that suit a task and a family, chosen on inner validation splits."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from edgeseq.models import Spec, load_family
from edgeseq.models.family import TOKEN_SIZE
from edgeseq.models.sequence import require_tokens
from edgeseq.tasks.base import Task
from edgeseq.train.settings import FitSettings

CROP_PER_WINDOW = 1.28
"""Crops are this much longer than scored windows: what is asked last is trained well too."""
FORECAST_CROP, FORECAST_BATCH, FORECAST_WINDOW = 128, 16, 64
"""Where every frame is scored: frames a crop, crops a step (as many frames a step as 64 crops of
32), and frames that attention sees."""


def default_settings(task: Task, family: str, **changes: Any) -> FitSettings:  # noqa: ANN401
    """Return the settings for `family` on `task`, with `changes` on top."""
    forecast = {"batch": FORECAST_BATCH} if task.window is None else {}
    suited = {"crop": _crop(task), **forecast, **load_family(family).settings, **task.training}
    return FitSettings(**{**suited, **changes})


def default_spec(task: Task, family: str, parameters: int, **chosen: Any) -> Spec:  # noqa: ANN401
    """Return the model of `family` with at most `parameters` parameters that suits `task`.

    Of what is `chosen` beforehand the family weighs what its `sized` takes, as `positions`.

    Attention sees no further than a crop of the training reaches: a distance that never occurred
    in training is noise in a stream.
    """
    family_spec, outputs = load_family(family).spec, len(task.output.labels)
    vocabulary, crop = len(task.frame.vocabulary), _crop(task)
    require_tokens(family_spec, vocabulary)
    sized: Callable[..., Spec] = family_spec.sized
    taken = signature(sized).parameters
    weighed = {name: choice for name, choice in chosen.items() if name in taken}
    if family_spec.takes_tokens:
        return sized(parameters, vocabulary, outputs, crop, **weighed)
    if vocabulary:
        left = parameters - vocabulary * TOKEN_SIZE
        return sized(max(1, left), TOKEN_SIZE, outputs, crop, **weighed)
    context = min(crop, FORECAST_WINDOW) if task.window is None else crop
    return sized(parameters, task.frame.size, outputs, context, **weighed)


def _crop(task: Task) -> int:
    if "crop" in task.training:
        return int(task.training["crop"])
    return FORECAST_CROP if task.window is None else round(CROP_PER_WINDOW * task.window)
