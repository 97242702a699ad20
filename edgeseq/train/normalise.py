"""An untrained model that already knows the scale of its data, so that apps feed raw units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeseq.errors import DataError, UsageError
from edgeseq.models import SequenceModel, Spec
from edgeseq.tasks.base import Recording, Task

Table = NDArray[np.floating[Any]]


def build_model(task: Task, spec: Spec, train: Sequence[Recording]) -> SequenceModel:
    """Return a model of `spec` with new weights and the normalisation constants of `train`.

    Inputs get the mean and deviation of each value of the frame, unless they are tokens. Outputs
    that are values get those of the target, or of its change where the model predicts a change.

    Raises:
        DataError: there are no recordings.
        UsageError: the model answers late, and the task is a forecast.
    """
    if not train:
        raise DataError(f"task {task.name}: its training split has no recordings")
    output = task.output
    if output.kind == "value" and spec.delay:
        raise UsageError(
            f"a model that is {spec.delay} frames late can say what was, not forecast "
            f"{task.name}; train with --set lookahead=0"
        )
    vocabulary = len(task.frame.vocabulary)
    model = SequenceModel(spec, task.frame.size, len(output.labels), output.residual_of, vocabulary)
    frames = _joined([recording.frames for recording in train])
    if not vocabulary:
        _set(model.input_mean, frames.mean(axis=0))
        _set(model.input_std, _deviation(frames))
    if output.kind == "value":
        target = _joined([recording.target for recording in train])
        if output.residual_of is not None:
            target = target - frames[:, output.residual_of, None]
        _set(model.output_mean, np.nanmean(target, axis=0))
        _set(model.output_std, _deviation(target))
    return model


def _joined(tables: Sequence[Table]) -> Table:
    return np.concatenate(tables).astype(np.float64)


def _deviation(values: Table) -> Table:
    """Return the standard deviation of each column; 1 where it is constant."""
    deviation = np.nanstd(values, axis=0)
    return np.where(deviation > 1e-8, deviation, 1.0)


def _set(buffer: Tensor, values: Table) -> None:
    buffer.copy_(torch.from_numpy(values))
