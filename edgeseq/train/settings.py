"""How long, how fast and on what a model is fitted: one frozen dataclass with its reasons."""

from dataclasses import dataclass
from typing import Any, Literal

from edgeseq.errors import ConfigError


@dataclass(frozen=True)
class FitSettings:
    """Settings of one training run; `edgeseq.train.defaults` has those of a task and a family."""

    steps: int = 1200
    """Optimizer steps: length helps more than any other knob here, until about this many."""
    batch: int = 64
    """Crops a step: large enough to see every class, small enough for one core's cache."""
    lr: float = 4e-3
    """Peak learning rate of the one-cycle schedule."""
    weight_decay: float = 0.02
    """Decoupled decay of the weight matrices; biases, norms and scales are left alone."""
    warmup: float = 0.15
    """Share of the steps in which the learning rate rises."""
    label_smoothing: float = 0.1
    """Probability spread over the other classes: subjects differ more than classes allow."""
    clip: float = 1.0
    """Largest gradient norm: one odd crop must not undo a hundred steps."""
    crop: int = 32
    """Frames a crop, from a reset state as in the scored windows, and a little longer."""
    skip: float = 0.15
    """Share of a crop's first frames without a per-frame loss: nobody can know so early."""
    augment: bool = True
    """Vary the training frames as the task knows they vary in life."""
    seed: int = 0
    """First weights, crops, augmentation and dropout all follow from it."""
    fold: int = 0
    """Which split of the task."""
    evaluate_every: int = 50
    """Steps between two looks at the validation split; the run can resume from each."""
    patience: int = 8
    """Looks without a better score until stopping, counted in the last fifth only: before that
    the annealing still to come gains more than any look tells."""
    refit: float = 0.25
    """Steps after the best look, as a share of `steps`, that learn from the validation people too:
    more people help more than anything else. The test people stay unseen."""
    accelerator: Literal["cpu", "cuda"] = "cpu"
    """Where to compute; runs are bit-reproducible on `cpu`."""
    threads: int = 1
    """CPU threads: models this small gain nothing from two, and results depend on the number."""

    @property
    def refit_steps(self) -> int:
        """Steps of the refit."""
        return round(self.refit * self.steps)

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: {getattr(self, name)!r} is not {what}"
            for name, (holds, what) in _RULES.items()
            if not holds(getattr(self, name))
        ]
        if mistakes:
            raise ConfigError("training settings", mistakes)


_AT_LEAST_ONE = (lambda value: value >= 1, "a number from 1 up")
_NOT_NEGATIVE = (lambda value: value >= 0, "0 or a positive number")
_POSITIVE = (lambda value: value > 0, "a positive number")
_SHARE = (lambda value: 0 <= value < 1, "a share from 0 up to, but not including, 1")
_RULES: dict[str, tuple[Any, str]] = {
    "steps": _AT_LEAST_ONE,
    "batch": _AT_LEAST_ONE,
    "lr": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "warmup": _SHARE,
    "label_smoothing": _SHARE,
    "clip": _POSITIVE,
    "crop": _AT_LEAST_ONE,
    "skip": _SHARE,
    "seed": _NOT_NEGATIVE,
    "fold": _NOT_NEGATIVE,
    "evaluate_every": _AT_LEAST_ONE,
    "patience": _AT_LEAST_ONE,
    "refit": _NOT_NEGATIVE,
    "accelerator": (lambda value: value in ("cpu", "cuda"), "one of 'cpu', 'cuda'"),
    "threads": _AT_LEAST_ONE,
}
