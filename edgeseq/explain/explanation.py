"""Why one decision was made, by every method that could be asked: what a page and a claim read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame
from edgeseq.explain.agreement import agreement, agreement_beyond
from edgeseq.explain.inside import Attended, Gates
from edgeseq.explain.occlusion import Exact, Occlusion
from edgeseq.explain.target import Target

Method = Literal["occlusion", "gates", "attention", "gradient"]
METHODS: tuple[Method, ...] = get_args(Method)
INSIDE: tuple[Method, ...] = ("gates", "attention", "gradient")
"""Those that look into a model, which only a training run has."""

RECENCY = "nothing but how recent"
"""What every method has to beat: late frames mostly matter more, whoever says so."""


@dataclass(frozen=True)
class Measure:
    """What one method says of every frame."""

    name: str
    importance: Exact
    """`(T,)`, 0 or more."""


@dataclass(frozen=True)
class Agreement:
    """How far a measure ranks the frames as occlusion does, -1 to 1."""

    rank: float
    """Spearman's rank correlation."""
    beyond: float | None
    """The same, of what is not explained by frames mattering more the later they are."""


@dataclass(frozen=True)
class Explanation:
    """One decision, what it was made from, and what mattered."""

    source: str
    """The bundle or run, with the variant."""
    family: str
    """Empty: not known."""
    input: str
    frame: Frame
    frames: NDArray[np.float32]
    """`(T, F)` from the stream's start to the decision, raw units."""
    target: Target
    score: float
    """Of the target at the last frame; a log-probability, or a value in its unit."""
    width: int
    """Frames of a stretch that was left out at once."""
    occlusion: Occlusion | None = None
    gates: tuple[Gates, ...] = ()
    attention: tuple[Attended, ...] = ()
    measures: tuple[Measure, ...] = ()
    """By method, occlusion first where it was asked for."""
    missing: Mapping[Method, str] = field(default_factory=dict)
    """Why a method says nothing."""

    @property
    def at(self) -> int:
        """The frame at which it was decided."""
        return len(self.frames) - 1

    def agreements(self) -> dict[str, Agreement]:
        """Return how far each measure ranks the frames as occlusion does, by its name.

        Each is blurred over the stretches that occlusion asked, so that none is blamed for being
        sharper. Frames that the decision cannot depend on do not count: whoever gives them
        nothing is right, and no wiser. Last comes `RECENCY`.
        """
        asked = self.occlusion
        if asked is None:
            return {}
        recent = np.arange(len(self.frames), dtype=np.float64)
        inside = {m.name: m.importance for m in self.measures if m.name != "occlusion"}
        found = {}
        for name, importance in (inside | {RECENCY: recent}).items():
            blurred = asked.stretches.blurred(importance)
            said, truth, late = (x[asked.first :] for x in (blurred, asked.importance, recent))
            beyond = None if name == RECENCY else agreement_beyond(said, truth, late)
            found[name] = Agreement(agreement(said, truth), beyond)
        return found
