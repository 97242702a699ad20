"""Claim `scale`: "with data and size the Transformer wins".

From a small model on a tenth of the data to a large one on all of it: at the far end the
Transformer has to be better. Sizes are what a device can hold.
"""

from functools import partial

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import BETTER, Claim, better, part
from edgeseq.claims.figures import Curves, Figure, Heat
from edgeseq.claims.panels import NAMES, line
from edgeseq.claims.plan import MARGIN, Plan
from edgeseq.claims.verdict import Part

SIZES = (5_000, 20_000, 80_000)
SHARES = (0.1, 1.0)
TASKS = ("har", "electricity", "text")
FAMILIES = ("transformer", "lstm")


def trained(plan: Plan, task: str, family: str, size: int, share: float) -> tuple[Cell, ...]:
    """Return the trainings of a size on a share of the data."""
    return plan.trained(task, family, size, share=share)


def sizes(plan: Plan) -> tuple[int, ...]:
    """Return the sizes that the budget has; without a search none is large."""
    return SIZES if plan.scale.tuned else (plan.scale.params // 2, 2 * plan.scale.params)


def tasks(plan: Plan) -> tuple[str, ...]:
    """Return the tasks that the budget has."""
    return TASKS if plan.scale.tuned else TASKS[:2]


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families at every size and share."""
    return tuple(
        cell
        for task in tasks(plan)
        for size in sizes(plan)
        for share in SHARES
        for family in FAMILIES
        for cell in trained(plan, task, family, size, share)
    )


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge the far end on every task."""
    most = sizes(plan)[-1]
    return tuple(
        part(
            f"With all data and {most:,} parameters the Transformer is better on {task}.",
            BETTER,
            plan.gain(*(trained(plan, task, family, most, 1.0) for family in FAMILIES)),
            better,
        )
        for task in tasks(plan)
    )


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show scores against size, and the Transformer's gain against size and data."""
    return tuple(
        figure for task in tasks(plan) for figure in (_curves(plan, task), _heat(plan, task))
    )


def _curves(plan: Plan, task: str) -> Figure:
    return Curves(
        f"Score against size: {task}",
        "parameters",
        "score on all data",
        tuple(
            line(plan, NAMES[family], sizes(plan), partial(_of_size, plan, task, family))
            for family in FAMILIES
        ),
        "Bands: 95 % intervals.",
        log_x=True,
    )  # fmt: skip


def _of_size(plan: Plan, task: str, family: str, size: float) -> tuple[Cell, ...]:
    return trained(plan, task, family, int(size), 1.0)


def _heat(plan: Plan, task: str) -> Figure:
    gains = [
        [
            plan.gain(*(trained(plan, task, family, size, share) for family in FAMILIES))
            for size in sizes(plan)
        ]
        for share in SHARES
    ]
    unit = next((e.unit for row in gains for e in row if e), "points")
    return Heat(
        f"The Transformer's gain: {task}",
        "parameters",
        "share of the data",
        tuple(f"{100 * share:g} %" for share in SHARES),
        tuple(f"{size // 1000}k" for size in sizes(plan)),
        tuple(tuple(e.mean if e else None for e in row) for row in gains),
        unit,
        f"Above 0 the Transformer is better; {MARGIN[unit]:g} {unit} is what matters.",
    )


CLAIM = Claim(
    name="scale",
    sentence="With data and size the Transformer wins.",
    protocol="LSTM and Transformer of 5,000, 20,000 and 80,000 parameters on a tenth and on all of "
    "the training recordings, with the settings that the search chose.",
    metrics=("score on test recordings, paired by split and seed",),
    rules=(BETTER,),
    grid=grid,
    judge=judge,
    figures=figures,
)
