"""Claim `choose`: "take a Transformer, unless *all* hold": streaming, scarce, short and little.

The essay's rule for eight situations, each decided by measurement. Strictly streaming: a causal
Transformer against the LSTM; else a bidirectional encoder over the whole window. Scarce: 5,000
parameters in int8, and where both are as good the cheaper step decides; else 80,000. Short with
little data: windows of 25 frames on a tenth of the data (`har`); else a day ahead from all data
(`electricity`).
"""

from dataclasses import dataclass
from itertools import product

from edgeseq.claims import edge
from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import Claim
from edgeseq.claims.effects import Effect
from edgeseq.claims.figures import Figure
from edgeseq.claims.panels import NAMES, by_unit
from edgeseq.claims.plan import MARGIN, Plan
from edgeseq.claims.verdict import Part, Word

SHORT, LONG = ("har", 0.1), ("electricity", 1.0)


@dataclass(frozen=True)
class Situation:
    """One of the eight."""

    streaming: bool
    scarce: bool
    short: bool

    @property
    def essay(self) -> str:
        """The family that the essay's rule takes."""
        unless = self.streaming and self.scarce and self.short
        return "lstm" if unless else self.attention

    @property
    def other(self) -> str:
        """The family that it does not take."""
        return self.attention if self.essay == "lstm" else "lstm"

    @property
    def attention(self) -> str:
        """The Transformer that the situation allows."""
        return "transformer" if self.streaming else "encoder"

    @property
    def by_cost(self) -> bool:
        """Whether the cheaper step decides between two that are as good."""
        return self.streaming and self.scarce

    def __str__(self) -> str:
        words = (
            "streaming" if self.streaming else "whole windows",
            "scarce compute" if self.scarce else "compute to spare",
            "short, little data" if self.short else "long, much data",
        )
        return ", ".join(words)


SITUATIONS = tuple(Situation(*flags) for flags in product((True, False), repeat=3))


def trained(plan: Plan, situation: Situation, family: str) -> tuple[Cell, ...]:
    """Return the trainings of a family in a situation."""
    task, share = SHORT if situation.short else LONG
    size = edge.sizes(plan)[0 if situation.scarce else -1]
    return plan.trained(task, family, size, share=share)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families in every situation, and what a step costs where compute is scarce."""
    trainings = [
        cell
        for situation in SITUATIONS
        for family in ("lstm", situation.attention)
        for cell in trained(plan, situation, family)
    ]
    return (*trainings, *(_cost(plan, family) for family in edge.JUDGED))


def _cost(plan: Plan, family: str) -> Cell:
    return edge.cost(plan, family, edge.sizes(plan)[0])


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge the essay's choice in every situation."""
    return tuple(_right(plan, situation) for situation in SITUATIONS)


def gain(plan: Plan, situation: Situation) -> Effect | None:
    """Return how much better the essay's choice is than the other."""
    return plan.gain(*(trained(plan, situation, f) for f in (situation.essay, situation.other)))


def _right(plan: Plan, situation: Situation) -> Part:
    statement = f"{situation}: {NAMES[situation.essay]} is right."
    found = gain(plan, situation)
    if found is None:
        return Part(statement, RULE, "not measured", "too few trainings")
    margin, said = MARGIN[found.unit], f"{found} against the other"
    word: Word = "inconclusive"
    if found.high < -margin:
        word = "refuted"
    elif found.low > -margin:
        word = "supported"
        if situation.by_cost and found.high < margin:
            word, cheaper = _by_cost(plan, situation)
            said += cheaper
        elif situation.by_cost and found.low <= 0:
            word = "inconclusive"
    return Part(statement, RULE, word, said, found)


def _by_cost(plan: Plan, situation: Situation) -> tuple[Word, str]:
    """Let the step that is cheaper in int8 decide between two that are as good."""
    times = {}
    for family in edge.JUDGED:
        found = plan.get(_cost(plan, family))
        if found is None or "int8" not in found["hot_us"]:
            return "inconclusive", ", both as good; costs not measured"
        times[family] = found["hot_us"]["int8"][0]
    ratio = times[situation.other] / times[situation.essay]
    word: Word = "supported" if ratio > 1 else "refuted"
    return word, f", both as good; the other's step takes {ratio:.2f} times as long"


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show what the essay's choice gains in every situation."""
    found = [(str(s), effect) for s in SITUATIONS if (effect := gain(plan, s))]
    title = "The essay's choice against the other"
    return by_unit(title, found, "Above 0 the essay's choice is better")


RULE = (
    "no worse than the other by the margin that matters; refuted where worse by more at the "
    "interval's upper end; streaming with scarce compute, two that are as good within the margin "
    "both ways are decided by the cheaper int8 step"
)
CLAIM = Claim(
    name="choose",
    sentence="Take a Transformer, unless all of these hold: strictly streaming, very scarce "
    "compute, short sequences with little data.",
    protocol="Eight situations, streaming or not, scarce or not, short with little data or not: "
    "LSTM against the Transformer that the situation allows, causal or of the whole window.",
    metrics=("score on test recordings, paired by split and seed", "µs a step in int8"),
    rules=(RULE,),
    grid=grid,
    judge=judge,
    figures=figures,
)
