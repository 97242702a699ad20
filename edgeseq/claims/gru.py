"""Claim `gru`: "gated variants such as GRU keep their value".

A GRU keeps its value where it is no worse than an LSTM of as many parameters by what matters, on
every kind of real task: classes, forecasts, and text.
"""

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import AS_GOOD, Claim, as_good, part
from edgeseq.claims.figures import Figure
from edgeseq.claims.panels import gains
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part

TASKS = ("har", "digits", "glucose", "electricity", "price", "volatility", "text", "control")


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return a GRU and an LSTM a task."""
    return tuple(
        cell
        for task in plan.scale.some(TASKS)
        for family in ("gru", "lstm")
        for cell in plan.trained(task, family)
    )


def judge(plan: Plan) -> tuple[Part, ...]:
    """Compare them on every task."""
    return tuple(
        part(
            f"A GRU is as good as an LSTM on {task}.",
            AS_GOOD,
            plan.gain(plan.trained(task, "gru"), plan.trained(task, "lstm")),
            as_good,
        )
        for task in plan.scale.some(TASKS)
    )


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the gain of the GRU a task."""
    return gains(plan, plan.scale.some(TASKS), "gru", "lstm")


CLAIM = Claim(
    name="gru",
    sentence="Gated variants such as GRU keep their value.",
    protocol="GRU and LSTM with the same number of parameters, trained and tuned alike, on every "
    "real task that both can do.",
    metrics=("score on test recordings, paired by split and seed",),
    rules=(AS_GOOD,),
    grid=grid,
    judge=judge,
    figures=figures,
)
