"""What variants are judged on: real frames, and the task's test recordings where they are here."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from edgeseq.bundle import Accuracy, Bundle, Parity
from edgeseq.check.parity import compare, decision_rule
from edgeseq.contract import Contract
from edgeseq.errors import ConfigError, DataError, UsageError
from edgeseq.runtime import StreamModel, StreamSession, predict
from edgeseq.tasks import load_task, restored_name
from edgeseq.tasks.base import Array, Recording, Task, stream
from edgeseq.workflows.accuracy import as_accuracy, scorable

SEQUENCE_FRAMES = 100
"""Frames of one sequence, where a graph has no state and takes any number."""


@dataclass(frozen=True)
class Evidence:
    """Real frames of one stream, and a judge of accuracy if there is one."""

    frames: Array
    """`(T, F)`."""
    task: Task | None = None
    test: tuple[Recording, ...] = ()
    missing: str = ""
    """Why there is no task."""

    def accuracy(self, model: StreamModel) -> Accuracy | None:
        """Score `model` on the test recordings, fed as an app feeds it; none where it cannot be."""
        if self.task is None or not scorable(model.contract, self.task):
            return None
        return as_accuracy(self.task.score(partial(frame_by_frame, model), self.test))

    def parity(self, reference: StreamModel, model: StreamModel) -> Parity:
        """Compare what `model` says of the stream with what `reference` says of it."""
        frames = as_streams(self.frames, model.contract)
        expected, outputs = (np.concatenate(frame_by_frame(m, frames)) for m in (reference, model))
        return compare(expected, outputs, decision_rule(model.contract.output))


def gather(
    bundle: Bundle, steps: int, *, task: Task | str | None = None, accuracy: bool = True
) -> Evidence:
    """Load the test recordings of the bundle's fold; without them, its reference has to do.

    Args:
        bundle: what will be judged.
        steps: frames to stream, where there are recordings.
        task: the task to judge on; none: what the model was trained on, if its data is here.
        accuracy: false: do without a task.

    Raises:
        UsageError: `task` is unknown, or has other frames than the bundle.
        DataError: the data of `task` cannot be had.
    """
    origin = bundle.manifest.origin
    reference = np.ascontiguousarray(bundle.reference["frames"], np.float32)
    if not accuracy:
        return Evidence(reference, missing="it was not asked for")
    try:
        judge = load_judge(bundle, task)
        test = judge.split(origin.fold).test
    except (DataError, ConfigError, UsageError) as error:
        if task is not None:
            raise
        return Evidence(reference, missing=str(error).splitlines()[0])
    require_same_frames(judge, bundle)
    return Evidence(stream(test, steps), judge, test)


def load_judge(bundle: Bundle, task: Task | str | None = None) -> Task:
    """Return `task`, or the one that the bundle's model was trained on."""
    name = task or restored_name(bundle.manifest.origin.task, bundle.path)
    return load_task(name) if isinstance(name, str) else name


def require_same_frames(judge: Task, bundle: Bundle) -> None:
    """Refuse a task whose frames the bundle does not take."""
    wanted = bundle.variant().contract.frame
    if judge.frame != wanted:
        raise UsageError(
            f'the task "{judge.name}" has frames of {judge.frame.samples} x '
            f"{list(judge.frame.channels)}, the bundle of {wanted.samples} x "
            f"{list(wanted.channels)}; judge it on the task it was trained on"
        )


def as_streams(frames: Array, contract: Contract) -> Array:
    """Return frames `(T, F)` as one long stream of whole calls, `(1, T, F)`.

    For a graph without state: as many sequences from reset, `(N, T, F)`, as there are.
    """
    if contract.form == "step":
        return frames[None, : len(frames) // contract.chunk_min * contract.chunk_min]
    length = contract.chunk_max or min(SEQUENCE_FRAMES, len(frames))
    return frames[: len(frames) // length * length].reshape(-1, length, frames.shape[1])


def is_stepped(contract: Contract) -> bool:
    """Say whether one stream can be fed one frame a call."""
    return contract.form == "step" and contract.chunk_min == 1 and contract.streams in (None, 1)


def frame_by_frame(model: StreamModel, frames: Array) -> Array:
    """Map frames `(N, T, F)` to outputs `(N, T, C)`, one stream at a time, one frame a call.

    Activations that are quantized on the fly share one scale a call: in a batch or a chunk int8
    rounds otherwise than in the app's stream. A graph that takes only batches gets them.
    """
    if not is_stepped(model.contract):
        return predict(model, frames)
    outputs = np.empty((*frames.shape[:2], len(model.contract.output.labels)), np.float32)
    with StreamSession(model) as session:
        for stream_frames, stream_outputs in zip(frames, outputs, strict=True):
            session.reset()
            for index, frame in enumerate(stream_frames):
                stream_outputs[index] = session.step(frame)
    return outputs
