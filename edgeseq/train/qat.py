"""Quantization-aware fine-tuning: a finished run goes on with the rounding of its quantized file.

The result is a run like any other, with fp32 weights that are exported and quantized as usual;
they have only moved to where rounding does less harm.
"""

import dataclasses
import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from edgeseq.errors import UsageError
from edgeseq.models import SequenceModel
from edgeseq.recipes import Quantization
from edgeseq.tasks.base import Task
from edgeseq.train.checkpoint import Checkpoint, Tuned
from edgeseq.train.fit import fit
from edgeseq.train.rounding import rounding_of
from edgeseq.train.run import Progress, Start
from edgeseq.train.settings import FitSettings
from edgeseq.train.twin import twin_of

_ARITHMETIC = (
    "method", "bits", "block", "nodes", "weights", "per_channel", "reduce_range", "fit_pairs",
)  # fmt: skip
"""What of a `[quantize]` the rounding depends on."""
SHARE_OF_STEPS, SHARE_OF_LR = 0.25, 0.1
"""Of the run's: weights that fit already have to move by fractions of a level, not anew."""


def tuning_settings(settings: FitSettings, **changes: Any) -> FitSettings:  # noqa: ANN401
    """Return the settings to fine-tune a run with that had `settings`, with `changes` on top."""
    short = {
        "steps": max(1, round(SHARE_OF_STEPS * settings.steps)),
        "lr": SHARE_OF_LR * settings.lr,
        "refit": 0.0,  # everyone is trained on from the start
    }
    return dataclasses.replace(settings, **{**short, **changes})


def quantized_twin(model: SequenceModel, how: Quantization) -> SequenceModel:
    """Return a model on the parameters of `model` that says what its quantized file says.

    Raises:
        UsageError: `how` has arithmetic that is not known here.
    """
    return twin_of(model, partial(rounding_of, how))


def tune(
    task: Task,
    checkpoint: Checkpoint,
    recipe: str,
    how: Quantization,
    settings: FitSettings,
    run_dir: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Checkpoint:
    """Fine-tune a finished run for `recipe`, which quantizes as `how` says; save it in `run_dir`.

    As reproducible and as resumable as `fit`.

    Raises:
        UsageError: the run was fine-tuned before, or `how` has arithmetic that is not known here.
        CheckpointError: `run_dir` has a run that cannot go on as this one.
        ProviderError: the accelerator asked for is not there.
        EdgeseqError: the training diverged.
    """
    if checkpoint.tuned is not None:
        raise UsageError(
            f"this run was fine-tuned already, for {checkpoint.tuned.recipe}; "
            "fine-tune the run that it went on from"
        )
    before = checkpoint.settings
    start = Start(
        model=checkpoint.model,
        twin=partial(quantized_twin, how=how),
        batches=before.steps + before.refit_steps,
        tuned=Tuned(recipe, _arithmetic(how), hashlib.sha256(checkpoint.weights()).hexdigest()),
    )
    return fit(
        task, checkpoint.spec, settings, run_dir, start=start, resume=resume, progress=progress
    )


def _arithmetic(how: Quantization) -> dict[str, Any]:
    """Return what a run records of `how`."""
    return {name: getattr(how, name) for name in _ARITHMETIC}
