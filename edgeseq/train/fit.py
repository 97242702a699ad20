"""Fit a model to a task: seeded, interruptible at any moment, resumable to the same weights."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeseq.models import Spec
from edgeseq.tasks import stored_name
from edgeseq.tasks.base import Task
from edgeseq.train.checkpoint import RUN, Checkpoint, Tuned, load_checkpoint
from edgeseq.train.determinism import device_of, reproducible
from edgeseq.train.run import Progress, Run, Start
from edgeseq.train.settings import FitSettings
from edgeseq.train.state import load_state, require_same


def fit(
    task: Task,
    spec: Spec,
    settings: FitSettings,
    run_dir: Path,
    *,
    start: Start | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Checkpoint:
    """Train a model of `spec` on fold `settings.fold` of `task` and save it in `run_dir`.

    The best look at the validation split says which weights are good; a short refit then adds
    the validation people, and the test split is scored once, at the end. On one machine the same
    settings give the same bits, also when the run was interrupted or killed and went on from its
    last look with `resume`. With `resume`, a finished run is returned as it is, and one that
    never came to a look starts again. An older run in `run_dir` stays until this one is finished.
    With `start`, this is a fine-tuning: see there what it does otherwise.

    Raises:
        CheckpointError: `run_dir` has a run that cannot go on as this one.
        ProviderError: the accelerator asked for is not there.
        EdgeseqError: the training diverged.
    """
    device = device_of(settings.accelerator)
    tuned = start.tuned if start else None
    identity = _identity(stored_name(task.name, run_dir), spec, settings, tuned)
    versions = {"torch": str(torch.__version__), "numpy": np.__version__}
    state = load_state(run_dir, identity | {"versions": versions}) if resume else None
    if resume and state is None and (run_dir / RUN).exists():
        return _finished(run_dir, identity)
    with reproducible(device, settings.threads):
        run = Run(task, spec, settings, device, start)
        if state is not None:
            run.restore(state)
        run.train(lambda: run.state(identity | {"versions": versions}).save(run_dir), progress)
        checkpoint = run.finish(versions, progress)
    checkpoint.save(run_dir)
    return checkpoint


def _identity(
    task_name: str, spec: Spec, settings: FitSettings, tuned: Tuned | None
) -> dict[str, Any]:
    """Return all that the weights of a run depend on, on one machine."""
    return {
        "task": task_name,
        "family": spec.family,
        "spec": dataclasses.asdict(spec),
        "settings": dataclasses.asdict(settings),
        "tuned": dataclasses.asdict(tuned) if tuned else None,
    }


def _finished(run_dir: Path, identity: dict[str, Any]) -> Checkpoint:
    checkpoint = load_checkpoint(run_dir)
    old = _identity(
        stored_name(checkpoint.task, run_dir),
        checkpoint.spec,
        checkpoint.settings,
        checkpoint.tuned,
    )
    require_same(run_dir / RUN, old, identity)
    return checkpoint
