"""What a run of claims came to: for every claim its declaration, verdict, figures and cells."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.claim import Claim
from edgeseq.claims.figures import Figure
from edgeseq.claims.plan import Plan, Scale, all_cells, ready
from edgeseq.claims.store import Store
from edgeseq.claims.verdict import Verdict


@dataclass(frozen=True)
class Judged:
    """One claim."""

    declaration: Mapping[str, Any]
    """Fixed before the run; see `Claim.declaration`."""
    verdict: Verdict
    figures: tuple[Figure, ...]
    cells: tuple[tuple[Cell, Outcome | None], ...]
    """What decides it; none: not measured yet."""

    @property
    def measured(self) -> int:
        """Cells that are there."""
        return sum(outcome is not None for _, outcome in self.cells)

    @property
    def seconds(self) -> float:
        """Time that they took, one after the other."""
        return sum(outcome.seconds for _, outcome in self.cells if outcome)


@dataclass(frozen=True)
class Summary:
    """All claims of a run."""

    scale: Scale
    claims: tuple[Judged, ...]
    machines: tuple[Mapping[str, Any], ...]
    """Machines and versions that measured."""

    @property
    def complete(self) -> bool:
        """Whether no cell is missing."""
        return all(judged.measured == len(judged.cells) for judged in self.claims)

    def to_json(self) -> dict[str, Any]:
        """Return the verdicts as JSON values, each with the keys of its cells."""
        table = {
            "scale": asdict(self.scale),
            "complete": self.complete,
            "machines": [dict(machine) for machine in self.machines],
            "claims": [
                {
                    "declaration": dict(judged.declaration),
                    "verdict": asdict(judged.verdict),
                    "measured": judged.measured,
                    "cells": [cell.key for cell, _ in judged.cells if ready(cell)],
                }
                for judged in self.claims
            ],
        }
        checked: dict[str, Any] = json.loads(json.dumps(table))
        return checked


def summarise(claims: Sequence[Claim], scale: Scale, store: Store) -> Summary:
    """Judge every claim by what is in `store`."""
    plan = Plan(scale, store.get)
    return Summary(
        scale,
        tuple(_judged(claim, plan, store) for claim in claims),
        tuple(store.machines),
    )


def _judged(claim: Claim, plan: Plan, store: Store) -> Judged:
    cells = all_cells(Plan(plan.scale, store.get), claim.grid)
    return Judged(
        claim.declaration(plan.scale),
        claim.verdict(plan),
        claim.figures(plan),
        tuple((cell, store.outcomes.get(cell.key)) for cell in cells),
    )
