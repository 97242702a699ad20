"""One decision of a bundle or of a training run, explained by all that can be asked of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from edgeseq.bundle import load_bundle
from edgeseq.contract import Contract, Frame, Output, State
from edgeseq.errors import StreamError, UsageError
from edgeseq.explain.explanation import INSIDE, METHODS, Explanation, Measure, Method
from edgeseq.explain.inside import Attended, Gates, attended_importance, gated_importance
from edgeseq.explain.occlusion import Array, Exact, Occlusion, Predict, occlude, stretches
from edgeseq.explain.target import Target, neutral, target
from edgeseq.runtime import StreamModel
from edgeseq.runtime.predict import Predictor, predict
from edgeseq.runtime.rows import ARRAYS, read_rows
from edgeseq.tokens import encode
from edgeseq.workflows.evidence import frame_by_frame

if TYPE_CHECKING:
    from edgeseq.models import SequenceModel

Progress = Callable[[str], None]

EXACT = ("fp32", "fp16")
"""Precisions in which streams that share a call give what each gives alone."""


@dataclass(frozen=True)
class Subject:
    """What is to be explained: a bundle's variant, an ONNX file, or a training run."""

    source: str
    family: str
    """Empty: not known."""
    frame: Frame
    output: Output
    predict: Predict
    memory: int | None = None
    """Frames that an answer depends on; none: all since the reset, or not known."""
    model: "SequenceModel | None" = None
    """None: only its answers can be had."""


@dataclass(frozen=True)
class Asked:
    """What is to be explained of it, and how."""

    methods: tuple[Method, ...] = METHODS
    at: int | None = None
    """Frame of the decision; none: the last one."""
    width: int | None = None
    """Frames of a stretch that is left out; none: what suits the input."""
    label: str | None = None
    """Class or value; none: the class that is decided, or the first value."""


def load_subject(path: Path, variant: str | None = None) -> Subject:
    """Load a training run, a bundle's `variant` (none: the preferred one), or an `.onnx` file.

    Raises:
        UsageError: a run has no variants.
    """
    if (path / "run.json").is_file():
        if variant:
            raise UsageError(
                f"{path} is a training run, which has no variants; leave --variant out"
            )
        return _run(path)
    model = StreamModel.load(path, variant=variant)
    bundle = None if path.suffix == ".onnx" else load_bundle(path)
    name = (variant or bundle.manifest.preferred) if bundle else ""
    alike = bundle is not None and bundle.variant(variant).precision in EXACT
    return Subject(
        source=f"{path}, {name}" if name else str(path),
        family=bundle.manifest.origin.family if bundle else "",
        frame=model.contract.frame,
        output=model.contract.output,
        predict=Predictor(model, predict if alike else frame_by_frame),
        memory=_memory(model.contract),
    )


def _memory(contract: Contract) -> int | None:
    """Return the frames that an answer depends on where the state says it: it is the others."""
    match contract.states:
        case (State(input="cached_frames", shape=(_, before, _)),):
            return int(before) + 1
        case _:
            return None


def _run(path: Path) -> Subject:
    """Load a training run."""
    from edgeseq.extras import require

    require("torch")
    from edgeseq.tasks import load_task
    from edgeseq.train.checkpoint import load_checkpoint
    from edgeseq.train.predict import predictor

    checkpoint = load_checkpoint(path)
    task, model = load_task(checkpoint.task), checkpoint.model
    return Subject(
        source=str(path),
        family=checkpoint.family,
        frame=task.frame,
        output=task.output,
        predict=predictor(model),
        memory=model.body.memory,
        model=model,
    )


def read_frames(source: Path | TextIO, frame: Frame, skip: int = 0) -> Array:
    """Return the frames `(T, F)` of a file or of open text; of tokens, those that a text is.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        StreamError: a row makes no frame, or there are too few of them.
    """
    array = isinstance(source, Path) and source.suffix.lower() in ARRAYS
    if frame.vocabulary and not array:
        if isinstance(source, Path) and not source.is_file():
            raise UsageError(f"no file {source}; name one that exists, or - for standard input")
        read = source.read_text(encoding="utf-8") if isinstance(source, Path) else source.read()
        samples = np.array(encode(read, frame.vocabulary)[skip:], np.float32)
    else:
        samples = np.concatenate([np.zeros(0, np.float32)] + [
            row.ravel() for row in read_rows(source, frame, skip)
        ])  # fmt: skip
    frames = samples[: len(samples) // frame.size * frame.size].reshape(-1, frame.size)
    if not len(frames):
        raise StreamError(
            f"{source} has no whole frame, which is {frame.samples} samples of "
            f"{len(frame.channels)}; give more rows, or skip fewer"
        )
    return frames


def explain(
    subject: Subject,
    frames: Array,
    asked: Asked,
    *,
    input: str,
    progress: Progress | None = None,
) -> Explanation:
    """Explain what `subject` says of `frames` `(T, F)`, from a reset state on.

    Raises:
        UsageError: a method that was named alone cannot be had, or there is no such frame or label.
    """
    return _Asking(subject, frames, asked, progress).explanation(input)


class _Asking:
    """One input and what is asked of it, looked up once."""

    def __init__(
        self, subject: Subject, frames: Array, asked: Asked, progress: Progress | None
    ) -> None:
        at = len(frames) - 1 if asked.at is None else asked.at
        if at >= len(frames):
            raise UsageError(
                f"there is no frame {at}: the input has {len(frames)}, numbered from 0; choose "
                f"--at {len(frames) - 1} or less"
            )
        self.subject, self.asked = subject, asked
        self.frames = frames[: at + 1]
        self.say = progress or (lambda _: None)
        self.stretches = stretches(len(self.frames), asked.width)
        outputs = subject.predict(self.frames[None])[0, -1]  # (C,)
        self.target: Target = target(subject.output, outputs, asked.label)
        self.score = float(self.target.scores(outputs[None])[0])
        self.nothing = neutral(self.frames, subject.frame)
        self.occlusion: Occlusion | None = None
        self.gates: tuple[Gates, ...] = ()
        self.attention: tuple[Attended, ...] = ()

    def explanation(self, input: str) -> Explanation:
        """Ask every method, and note why one says nothing."""
        measures: list[Measure] = []
        missing: dict[Method, str] = {}
        for method in self.asked.methods:
            try:
                self.say(method)
                measures += [Measure(name, values) for name, values in self._measures(method)]
            except UsageError as error:
                if len(self.asked.methods) == 1:
                    raise
                missing[method] = str(error)
        return Explanation(
            source=self.subject.source,
            family=self.subject.family,
            input=input,
            frame=self.subject.frame,
            frames=self.frames,
            target=self.target,
            score=self.score,
            width=self.stretches.width,
            occlusion=self.occlusion,
            gates=self.gates,
            attention=self.attention,
            measures=tuple(measures),
            missing=missing,
        )

    def _measures(self, method: Method) -> Iterator[tuple[str, Exact]]:
        """Yield by name what a method says of every frame."""
        if method == "occlusion":
            self.occlusion = self._occluded()
            yield method, self.occlusion.importance
            return
        model = self._inside(method)
        from edgeseq.train import inside

        if method == "gates":
            self.gates = inside.gates_of(model, self.frames)
            yield method, gated_importance(self.gates)
        elif method == "attention":
            self.attention = inside.attention_of(model, self.frames)
            yield method, attended_importance(self.attention, len(self.frames))
        else:
            asked = (model, self.frames, self.target, self.nothing)
            yield "gradient x input", np.abs(inside.gradient_times_input(*asked)).sum(1)
            yield "integrated gradients", np.abs(inside.integrated_gradients(*asked)).sum(1)

    def _occluded(self) -> Occlusion:
        return occlude(
            self.subject.predict,
            self.frames,
            self.target,
            self.nothing,
            channels=len(self.subject.frame.channels),
            width=self.stretches.width,
            memory=self.subject.memory,
        )

    def _inside(self, method: Method) -> "SequenceModel":
        """Return the module that a method looks into."""
        if self.subject.model is None:
            raise UsageError(
                f"{self.subject.source} has answers and nothing else: no {' or '.join(INSIDE)}; "
                "these are in the training run: edgeseq explain RUN INPUT"
            )
        return self.subject.model
