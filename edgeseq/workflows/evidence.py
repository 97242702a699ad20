"""What variants are judged on: real frames, and the task's recordings where they are here."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from edgeseq.bundle import Bundle
from edgeseq.check.parity import compare, decision_rule
from edgeseq.claims.paired import compare as compare_losses
from edgeseq.contract import Contract
from edgeseq.errors import ConfigError, DataError, UsageError
from edgeseq.measured import Accuracy, Paired, Parity
from edgeseq.runtime import StreamModel, StreamSession, predict
from edgeseq.runtime.predict import Predictor, is_stepped
from edgeseq.tasks import load_task, restored_name
from edgeseq.tasks.base import Array, Losses, Predict, Recording, Task, stream
from edgeseq.workflows.accuracy import as_accuracy, scorable

GROWING_FRAMES = 2000
"""Most frames of one stream where the state grows: time and memory grow with their square."""
SEQUENCE_FRAMES = 100
"""Frames of one sequence, where a graph has no state and takes any number."""


@dataclass(frozen=True)
class Evidence:
    """Real frames of one stream, and a judge of accuracy if there is one."""

    frames: Array
    """`(T, F)`."""
    task: Task | None = None
    recordings: tuple[Recording, ...] = ()
    """Of one side of the task's split."""
    missing: str = ""
    """Why there is no task."""
    seed: int = 0
    """Drew the order of the stream's recordings, and draws the bootstrap."""

    def losses(self, model: StreamModel, *, by_frame: bool = False) -> Losses | None:
        """Judge `model` on the recordings, fed as an app feeds it; none where it cannot be.

        By window, as the score counts; or `by_frame`, which tells small losses apart, too.
        """
        if self.task is None or not scorable(model.contract, self.task):
            return None
        judge = self.task.frame_losses if by_frame else self.task.losses
        return judge(Predictor(model, frame_by_frame), self.recordings)

    def outputs(self, model: StreamModel) -> Array:
        """Return what `model` says of the stream, `(T, C)`."""
        return np.concatenate(frame_by_frame(model, as_streams(self.frames, model.contract)))


@dataclass(frozen=True)
class Judgement:
    """What became of a twin; none where there is no task that it can be judged on."""

    parity: Parity
    """Its stream against the original's."""
    accuracy: Accuracy | None
    paired: Paired | None
    """What it loses against the original on the same windows or frames."""


@dataclass(frozen=True)
class Original:
    """An fp32 model and its answers, asked for once, that any number of twins are held against."""

    model: StreamModel
    evidence: Evidence

    @cached_property
    def outputs(self) -> Array:
        """What it says of the stream, `(T, C)`."""
        return self.evidence.outputs(self.model)

    @cached_property
    def losses(self) -> Losses | None:
        """What it gets wrong, window by window; none where it cannot be judged."""
        return self.evidence.losses(self.model)

    @cached_property
    def frame_losses(self) -> Losses | None:
        """What it gets wrong, frame by frame; none where it cannot be judged."""
        return self.evidence.losses(self.model, by_frame=True)

    @property
    def accuracy(self) -> Accuracy | None:
        """Its score; none where it cannot be judged."""
        return as_accuracy(self.losses) if self.losses else None

    def parity(self, twin: StreamModel) -> Parity:
        """Compare what `twin` says of the stream with what the original says."""
        outputs = self.evidence.outputs(twin)
        return compare(
            self.outputs, outputs, decision_rule(twin.contract.frame, twin.contract.output)
        )

    def judge(self, twin: StreamModel, *, by_frame: bool = False) -> Judgement:
        """Compare `twin` on the stream and on the task, there by window or `by_frame`."""
        parity, lost = self.parity(twin), self.evidence.losses(twin)
        if lost is None or self.losses is None:
            return Judgement(parity, None, None)
        pair = (self.losses, lost)
        if by_frame:
            own = self.evidence.losses(twin, by_frame=True)
            pair = (self.frame_losses or self.losses, own or lost)
        paired = compare_losses(*pair, seed=self.evidence.seed)
        return Judgement(parity, as_accuracy(lost), paired)


def gather(
    bundle: Bundle,
    steps: int,
    *,
    task: Task | str | None = None,
    accuracy: bool = True,
    side: Literal["validation", "test"] = "test",
    seed: int = 0,
) -> Evidence:
    """Load the recordings of the bundle's fold; without them, its reference has to do.

    Args:
        bundle: what will be judged.
        steps: frames to stream, where there are recordings.
        task: the task to judge on; none: what the model was trained on, if its data is here.
        accuracy: false: do without a task.
        side: of the split; what is reported of a choice is not what the choice was made by.
        seed: draws the order of the recordings in the stream, and the bootstrap.

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
        recordings = getattr(judge.split(origin.fold), side)
    except (DataError, ConfigError, UsageError) as error:
        if task is not None:
            raise
        return Evidence(reference, missing=str(error).splitlines()[0])
    require_same_frames(judge, bundle)
    steps = bounded(steps, bundle.variant().contract)
    return Evidence(stream(recordings, steps, seed=seed), judge, recordings, seed=seed)


def bounded(steps: int, contract: Contract) -> int:
    """Return as many of `steps` as one stream shall have."""
    return min(steps, GROWING_FRAMES) if contract.grows else steps


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
    if contract.form != "sequence":
        return frames[None, : len(frames) // contract.chunk_min * contract.chunk_min]
    length = contract.chunk_max or min(SEQUENCE_FRAMES, len(frames))
    return frames[: len(frames) // length * length].reshape(-1, length, frames.shape[1])


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


def never_reset(model: StreamModel, before: Array) -> Predict:
    """Return a predictor that plays all it is given as one stream, after `before` `(T, F)`.

    It shows what a window is worth to an app that has run for long: the state is as old as the
    stream, and remembers whatever came before.
    """
    session = StreamSession(model)
    for frame in before:
        session.step(frame)

    def predict(frames: Array) -> Array:
        steps = [session.step(frame) for frame in frames.reshape(-1, frames.shape[-1])]
        return np.stack(steps).reshape(*frames.shape[:2], -1)

    return predict
