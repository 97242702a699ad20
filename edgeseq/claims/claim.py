"""What a claim declares before anything is run, and the verdict that its cells come to."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeseq.claims.cell import Cell, Result, digest
from edgeseq.claims.effects import Effect
from edgeseq.claims.figures import Figure
from edgeseq.claims.plan import MARGIN, Plan, Scale, all_cells
from edgeseq.claims.verdict import Part, Verdict, Word, above, combine


@dataclass(frozen=True)
class Claim:
    """One sentence of the essay as a hypothesis, with all that decides it."""

    name: str
    sentence: str
    """The essay's."""
    protocol: str
    """What is done."""
    metrics: tuple[str, ...]
    """What is measured."""
    rules: tuple[str, ...]
    """What must hold and when it counts as refuted, a line a part of the claim."""
    grid: Callable[[Plan], Sequence[Cell]]
    """The cells."""
    judge: Callable[[Plan], tuple[Part, ...]]
    """From their results to the parts."""
    figures: Callable[[Plan], tuple[Figure, ...]]

    def declaration(self, scale: Scale) -> dict[str, Any]:
        """Return what is fixed before the run, as JSON values; `sha256` is over all of it.

        The source of the claim's module is part of it: the rule is code.
        """
        plan = Plan(scale, lambda _: None)
        cells = all_cells(plan, self.grid)
        table = {
            "claim": self.name,
            "sentence": self.sentence,
            "protocol": self.protocol,
            "metrics": list(self.metrics),
            "rules": list(self.rules),
            "margins": MARGIN,
            "scale": asdict(scale),
            "cells": len(cells),
            "grid": digest([[cell.kind, dict(cell.settings)] for cell in cells]),
            "rule": digest(inspect.getsource(inspect.getmodule(self.judge) or self.judge)),
        }
        return {**table, "sha256": digest(table)}

    def verdict(self, plan: Plan) -> Verdict:
        """Judge what is there."""
        parts = self.judge(plan)
        return Verdict(
            self.name, self.sentence, self.protocol, combine(parts), _sentence(parts), parts
        )


def load_claim(name: str) -> Claim:
    """Return the claim called `name`."""
    claim: Claim = importlib.import_module(f"edgeseq.claims.{name.replace('-', '_')}").CLAIM
    return claim


def _sentence(parts: Sequence[Part]) -> str:
    """Return every part with its word."""
    said = (f"{part.statement.rstrip('.')}: {part.word} ({part.measured})" for part in parts)
    return "; ".join(said) + "."


def part(statement: str, rule: str, found: Effect | None, decide: Callable[[Effect], Word]) -> Part:
    """Return a part that one effect decides."""
    if found is None:
        return Part(statement, rule, "not measured", "too few trainings")
    word = decide(found)
    measured = str(found)
    if word == "inconclusive":
        measured += f", {found.smallest:.1f} could have been seen"
    return Part(statement, rule, word, measured, found)


def unmeasured(statement: str, rule: str, found: Result | None, device: str = "cpu") -> Part:
    """Return a part that nothing decides: its cell is missing, or says in short why it is empty."""
    why = str((found or {}).get("not measured", "not measured")).partition(":")[0]
    return Part(statement, rule, "not measured", why, elsewhere=device != "cpu")


def better(found: Effect) -> Word:
    """Say whether an effect is a gain that matters: all of it above 0, some beyond the margin."""
    if found.high < MARGIN[found.unit]:
        return "refuted"
    return "supported" if found.low > 0 else "inconclusive"


def as_good(found: Effect) -> Word:
    """Say whether an effect is no loss that matters."""
    return above(found.interval, -MARGIN[found.unit])


BETTER = "interval above 0; refuted where all of it is below the margin that matters"
AS_GOOD = "interval above minus the margin that matters; refuted where all of it is below"
