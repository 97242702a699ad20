"""What a claim comes to: declared parts, each with its rule, and one word for the whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeseq.claims.effects import Effect

Word = Literal["supported", "refuted", "mixed", "inconclusive", "not measured"]


@dataclass(frozen=True)
class Part:
    """One thing that must hold for the claim to hold."""

    statement: str
    """The part of the claim that is tested."""
    rule: str
    """When it counts as supported and as refuted, written before the run."""
    word: Word
    measured: str
    """What was found, in numbers; or why nothing was."""
    effect: Effect | None = None
    """The number that decided, where it is one."""
    elsewhere: bool = False
    """About a device that is not here: it is told, and decides nothing."""


@dataclass(frozen=True)
class Verdict:
    """The answer to a claim, for the machine and the data at hand."""

    claim: str
    """Its name: `latency`, `edge`."""
    hypothesis: str
    """The essay's sentence."""
    method: str
    """What is measured, and how it decides."""
    word: Word
    sentence: str
    """The answer in one sentence."""
    parts: tuple[Part, ...]
    numbers: dict[str, float] = field(default_factory=dict)
    """What the sentences were made of."""
    notes: tuple[str, ...] = ()
    """What is worth knowing and decides nothing."""


def combine(parts: Sequence[Part]) -> Word:
    """Judge a claim that says all of its `parts` at once.

    One part supported and another refuted is `mixed`. Otherwise one refuted part refutes the
    claim, because it says all of them; it is supported only if every part is. What is about a
    device that is not here is left out: a verdict is for the machine at hand.
    """
    words = {part.word for part in parts if not part.elsewhere}
    if words <= {"not measured"}:
        return "not measured"
    if {"supported", "refuted"} <= words or "mixed" in words:
        return "mixed"
    if "refuted" in words:
        return "refuted"
    return "supported" if words == {"supported"} else "inconclusive"


def above(interval: tuple[float, float], threshold: float) -> Word:
    """Say whether all of `interval` (low, high) lies above `threshold`, or all of it below."""
    low, high = interval
    if low > threshold:
        return "supported"
    return "refuted" if high < threshold else "inconclusive"
