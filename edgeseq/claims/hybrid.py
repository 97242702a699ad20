"""Claim `hybrid`: "LSTM is useful as a part of a Transformer".

The hybrid has a recurrent layer inside each Transformer block, and gets no more parameters for it.
It is useful where the hybrid beats the Transformer by what matters; beating the LSTM, too, says
that both parts are needed.
"""

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import BETTER, Claim, better, part
from edgeseq.claims.figures import Figure
from edgeseq.claims.panels import NAMES, gains
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part

TASKS = ("har", "digits", "electricity", "text")
RIVALS = ("transformer", "lstm")


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return a hybrid, a Transformer and an LSTM a task."""
    return tuple(
        cell
        for task in plan.scale.some(TASKS)
        for family in ("hybrid", *RIVALS)
        for cell in plan.trained(task, family)
    )


def judge(plan: Plan) -> tuple[Part, ...]:
    """Compare the hybrid with the Transformer on every task; the LSTM decides nothing."""
    return tuple(
        part(
            f"The hybrid is better than the Transformer on {task}.",
            BETTER,
            plan.gain(plan.trained(task, "hybrid"), plan.trained(task, "transformer")),
            better,
        )
        for task in plan.scale.some(TASKS)
    )


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the hybrid's gain over both."""
    tasks = plan.scale.some(TASKS)
    return tuple(figure for rival in RIVALS for figure in gains(plan, tasks, "hybrid", rival))


CLAIM = Claim(
    name="hybrid",
    sentence="LSTM is useful as a part of a Transformer.",
    protocol="A hybrid, a Transformer and an LSTM with the same number of parameters, trained and "
    f"tuned alike. Shown beside it, and deciding nothing: against the {NAMES['lstm']}.",
    metrics=("score on test recordings, paired by split and seed",),
    rules=(BETTER,),
    grid=grid,
    judge=judge,
    figures=figures,
)
