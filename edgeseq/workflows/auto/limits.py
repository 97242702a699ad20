"""What a candidate must keep: it can be made, it streams within its tolerance, it loses little."""

from collections.abc import Iterator
from dataclasses import dataclass

from edgeseq.contract import Tolerance
from edgeseq.measured import Paired, Parity
from edgeseq.quantize.prefer import broken_tolerance
from edgeseq.recipes import Recipe
from edgeseq.report.auto import Finding, brief


@dataclass(frozen=True)
class Limits:
    """What is asked of a candidate."""

    max_drop: float
    """Largest loss of the task's metric, as `Paired` counts it."""

    def broken(self, recipe: Recipe, finding: Finding) -> tuple[str, ...]:
        """Return which limits are not known to be kept, in words."""
        if finding.refused:
            return (f"not made: {brief(finding.refused)}",)
        return (*self._loss(finding), *_tolerance(finding.parity, recipe.tolerance))

    def refuted(self, recipe: Recipe, finding: Finding) -> tuple[str, ...]:
        """Return which limits are known to be broken, in words: doubt is not enough."""
        paired = finding.paired
        beyond = paired is not None and paired.verdict(self.max_drop) == "beyond"
        said = [self._lost(paired)] if paired is not None and beyond else []
        return (*said, *_tolerance(finding.parity, recipe.tolerance))

    def _loss(self, finding: Finding) -> Iterator[str]:
        paired = finding.paired
        if finding.accuracy is None:
            yield "of unknown accuracy (it cannot be fed the task's windows)"
        elif paired is None:
            yield "of uncertain accuracy (too few recordings for an interval)"
        elif paired.verdict(self.max_drop) != "within":
            yield self._lost(paired)

    def _lost(self, paired: Paired) -> str:
        sure = paired.verdict(self.max_drop) == "beyond"
        word = "less accurate" if sure else "of uncertain accuracy"
        return f"{word} (up to {paired.high:.3g} {paired.unit}, limit {self.max_drop:g})"


def _tolerance(parity: Parity | None, tolerance: Tolerance) -> Iterator[str]:
    if parity is not None:
        yield from broken_tolerance(parity, tolerance)
