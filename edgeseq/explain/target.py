"""What is explained, one class or value at one frame, and what stands for nothing in an input."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output
from edgeseq.errors import UsageError
from edgeseq.tokens import UNKNOWN_CHARACTER

NEUTRAL_TOKENS = (" ", UNKNOWN_CHARACTER)
"""What a token is replaced by: the first of these that the vocabulary has."""


@dataclass(frozen=True)
class Target:
    """One output of a model, and how its score is counted."""

    output: Output
    index: int
    """Of the class or value in `output.labels`."""

    @property
    def label(self) -> str:
        """Its name."""
        return self.output.labels[self.index]

    @property
    def unit(self) -> str:
        """Unit of a score."""
        return "nat" if self.output.kind == "logits" else self.output.units

    def scores(self, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map outputs `(N, C)` to scores `(N,)`: a class's log-probability, or the value itself."""
        exact = outputs.astype(np.float64)
        if self.output.kind == "logits":
            exact = exact - exact.max(1, keepdims=True)
            exact = exact - np.log(np.exp(exact).sum(1, keepdims=True))
        return exact[:, self.index]


def target(output: Output, outputs: NDArray[np.floating], label: str | None = None) -> Target:
    """Return the class or value called `label`; without one, what `outputs` `(C,)` decide.

    Of values that is the first.

    Raises:
        UsageError: no output has that name.
    """
    if label is None:
        return Target(output, int(outputs.argmax()) if output.kind == "logits" else 0)
    if label not in output.labels:
        shown = ", ".join(output.labels[:12]) + (" …" if len(output.labels) > 12 else "")
        raise UsageError(f'the model has no output "{label}"; there are: {shown}')
    return Target(output, output.labels.index(label))


def neutral(frames: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Return the frame `(F,)` that says nothing: each channel's mean in `frames` `(T, F)`.

    Of tokens, which have no mean: a space, or else the token of unknown characters.

    Raises:
        UsageError: the vocabulary has neither.
    """
    if frame.vocabulary:
        known = [token for token in NEUTRAL_TOKENS if token in frame.vocabulary]
        if not known:
            raise UsageError(
                "no token of this model says nothing: its vocabulary has neither a space nor "
                "unknown characters, so none can be left out"
            )
        return np.full(1, frame.vocabulary.index(known[0]), np.float32)
    means = frames.reshape(-1, len(frame.channels)).mean(0, dtype=np.float64)
    return np.tile(means, frame.samples).astype(np.float32)
