"""Claim `order`: "LSTM knows order by itself, Transformer must be told".

Task `order`: which of two events comes first after a cue; every sequence has as many of either, so
a bag of frames knows nothing. Attention here is causal, which may already tell order.
"""

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import Claim, part
from edgeseq.claims.effects import Effect, difference
from edgeseq.claims.figures import Bars, Figure
from edgeseq.claims.panels import bar
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, Word, above
from edgeseq.families import POSITIONS

TASK = "order"
SOLVED, MATTERS = 90.0, 5.0
"""Per cent of right answers (guessing: 50), and points that being told has to be worth."""


def transformer(plan: Plan, positions: str) -> tuple[Cell, ...]:
    """Return the Transformers that are told of order in one way."""
    return plan.trained(TASK, "transformer", positions=positions)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return the LSTM and a Transformer a kind of positions."""
    told = (transformer(plan, positions) for positions in POSITIONS)
    return (*plan.trained(TASK, "lstm"), *(cell for cells in told for cell in cells))


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge both halves of the sentence; what being told is worth by the best kind of it."""
    without = plan.values(transformer(plan, "none"))
    told = [
        found
        for positions in POSITIONS
        if positions != "none"
        and (found := difference(plan.values(transformer(plan, positions)), without, "points"))
    ]
    best = max(told, key=lambda found: found.mean, default=None)
    lstm = plan.level(plan.trained(TASK, "lstm"), "%")
    return (
        part("The LSTM knows order by itself.", KNOWS, lstm, _knows),
        part("The Transformer must be told.", TOLD, best, _told),
        part("The Transformer knows once it is told.", KNOWS, _best_level(plan), _knows),
    )


def _best_level(plan: Plan) -> Effect | None:
    """Return the accuracy with the best kind of positions."""
    kinds = [kind for kind in POSITIONS if kind != "none"]
    levels = [found for kind in kinds if (found := plan.level(transformer(plan, kind), "%"))]
    return max(levels, key=lambda found: found.mean, default=None)


def _knows(level: Effect) -> Word:
    return above(level.interval, SOLVED)


def _told(gain: Effect) -> Word:
    return above(gain.interval, MATTERS)


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the accuracy of each."""
    levels = [("LSTM", plan.level(plan.trained(TASK, "lstm"), "%"))]
    levels += [(kind, plan.level(transformer(plan, kind), "%")) for kind in POSITIONS]
    bars = tuple(bar(name, found) for name, found in levels if found)
    caption = "The LSTM, and Transformers by their positions; 50 % is guessing."
    return (Bars("Which came first", "accuracy, %", bars, caption, SOLVED),)


KNOWS = f"more than {SOLVED:g} % right at the interval's lower end; refuted where less at its upper"
TOLD = (
    f"the best kind of positions is worth more than {MATTERS:g} points against none, at the lower "
    "end; refuted where less at the upper"
)
CLAIM = Claim(
    name="order",
    sentence="LSTM knows order by itself, Transformer must be told.",
    protocol="An LSTM, and causal Transformers with no, sinusoidal, learned, rotary and relative "
    "positions, with the same number of parameters, trained and tuned alike.",
    metrics=("accuracy %",),
    rules=(KNOWS, TOLD, KNOWS),
    grid=grid,
    judge=judge,
    figures=figures,
)
