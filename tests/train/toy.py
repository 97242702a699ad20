"""Two tasks that are learned in seconds, made of nothing: tell waves apart, foretell a wave."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeseq import families
from edgeseq.contract import Frame, Output
from edgeseq.models import load_family
from edgeseq.tasks.base import Array, Predict, Recording, Score, Split

FAMILIES = tuple(name for name in families.FAMILIES if not load_family(name).spec.takes_tokens)
"""Those that take values."""

RECORDINGS, LENGTH, WINDOW = 6, 60, 20


@dataclass
class Waves:
    """Class 0: slow, 1: fast, 2: fast and upside down in the second value. One subject each."""

    name: str = "waves"
    summary: str = "three waves"
    source: str = "made up"
    window: int | None = WINDOW
    warmup: int = 0
    folds: int = 2
    training: dict = field(default_factory=dict)
    frame: Frame = field(default_factory=lambda: Frame(("a", "b"), ("V", "V"), 10.0))
    output: Output = field(default_factory=lambda: Output("logits", ("slow", "fast", "turned")))
    calls: int = 0
    """Batches that were augmented."""

    def recordings(self) -> tuple[Recording, ...]:
        rng = np.random.default_rng(0)
        return tuple(
            Recording(wave(label, rng), np.full(LENGTH, label), f"{subject}", f"{subject}-{label}")
            for subject in range(RECORDINGS)
            for label in range(3)
        )

    def split(self, fold: int = 0) -> Split:
        everything = self.recordings()
        return Split(
            tuple(r for r in everything if int(r.subject) not in (2 * fold, 2 * fold + 1)),
            tuple(r for r in everything if int(r.subject) == 2 * fold),
            tuple(r for r in everything if int(r.subject) == 2 * fold + 1),
        )

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        frames = np.concatenate(
            [r.frames.reshape(-1, WINDOW, r.frames.shape[1]) for r in recordings]
        )
        truth = np.concatenate([r.target[::WINDOW] for r in recordings])
        right = predict(frames).mean(1).argmax(-1) == truth
        return Score("window accuracy %", 100 * float(right.mean()), True, len(truth))

    def streamed(self, predict: Predict, recordings: Sequence[Recording]) -> None:
        return None

    def decide(self, outputs: Array) -> np.ndarray:
        return outputs.argmax(-1)

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        self.calls += 1
        return frames * rng.normal(1, 0.05, (len(frames), 1, 1)).astype(np.float32)

    def baselines(self, split: Split) -> dict[str, Score]:
        return {}


def wave(label: int, rng: np.random.Generator) -> Array:
    """Return `(T, 2)` in volts around an offset of 5, so that normalisation matters."""
    angle = rng.uniform(0, 6.28) + np.arange(LENGTH) * (0.4 if label == 0 else 1.0)
    second = np.sin(angle) * (-1 if label == 2 else 1)
    values = np.stack([np.sin(angle), second], 1) + rng.normal(0, 0.1, (LENGTH, 2))
    return (5 + 2 * values).astype(np.float32)


@dataclass
class Foretell(Waves):
    """The first value two frames ahead, as a change from now; the last two are unknown."""

    name: str = "foretell"
    window: int | None = None
    output: Output = field(
        default_factory=lambda: Output("value", ("a",), units="V", residual_of=0, name="values")
    )

    def recordings(self) -> tuple[Recording, ...]:
        return tuple(_ahead(recording) for recording in super().recordings())

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        frames = np.stack([recording.frames for recording in recordings])
        target = np.stack([recording.target for recording in recordings])
        error = np.abs(predict(frames) - target)[:, 10:-2]
        return Score("MAE V", float(error.mean()), False, error.size)


def _ahead(recording: Recording) -> Recording:
    target = np.full((LENGTH, 1), np.nan, np.float32)
    target[:-2, 0] = recording.frames[2:, 0]
    return Recording(recording.frames, target, recording.subject, recording.name)
