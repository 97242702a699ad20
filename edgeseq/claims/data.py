"""Claim `data`: "LSTM needs little data, Transformer much".

The training and the validation recordings are cut down to a share, whole recordings, classes in
turns; the test stays. With the least data the LSTM has to be better, and the Transformer has to
gain more than the LSTM from the rest. Where the curves cross is shown.
"""

from functools import partial

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import BETTER, Claim, better, part
from edgeseq.claims.effects import Effect, effect
from edgeseq.claims.figures import Curves, Figure
from edgeseq.claims.panels import NAMES, line
from edgeseq.claims.plan import PER_CENT, POINTS, Plan
from edgeseq.claims.verdict import Part

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
TASKS = ("har", "electricity")
FAMILIES = ("lstm", "transformer")


def trained(plan: Plan, task: str, family: str, share: float) -> tuple[Cell, ...]:
    """Return the trainings on a share of the data."""
    return plan.trained(task, family, share=share)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families at every share of both tasks."""
    return tuple(
        cell
        for task in TASKS
        for share in plan.scale.some(SHARES)
        for family in FAMILIES
        for cell in trained(plan, task, family, share)
    )


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge both halves on every task."""
    least, most = SHARES[0], SHARES[-1]
    return tuple(
        found
        for task in TASKS
        for found in (
            part(
                f"With {100 * least:g} % of the data the LSTM is better on {task}.",
                BETTER,
                plan.gain(*(trained(plan, task, family, least) for family in FAMILIES)),
                better,
            ),
            part(
                f"The Transformer gains more from the rest on {task}.",
                BETTER,
                _gains_more(plan, task, least, most),
                better,
            ),
        )
    )


def _gains_more(plan: Plan, task: str, least: float, most: float) -> Effect | None:
    """Return the Transformer's gain from the data minus the LSTM's, a training."""
    sides = [
        {share: plan.values(trained(plan, task, family, share)) for share in (least, most)}
        for family in FAMILIES
    ]
    draws = set.intersection(*({*values} for side in sides for values in side.values()))
    results = [plan.get(cell) for cell in trained(plan, task, "lstm", most)]
    known = [result for result in results if result]
    if not draws or not known:
        return None
    lstm, other = sides
    gained = {
        draw: (other[most][draw] - other[least][draw]) - (lstm[most][draw] - lstm[least][draw])
        for draw in draws
    }
    if known[0]["higher_is_better"]:
        return effect(gained, POINTS)
    whole = sum(lstm[least][draw] for draw in draws) / len(draws) / 100
    return effect({draw: -value / whole for draw, value in gained.items()}, PER_CENT)


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the score against the share of the data."""
    percent = [100 * share for share in plan.scale.some(SHARES)]
    return tuple(
        Curves(
            f"Score against data: {task}",
            "share of the training set, %",
            _metric(plan, task),
            tuple(
                line(plan, NAMES[family], percent, partial(_of_share, plan, task, family))
                for family in FAMILIES
            ),
            "Bands: 95 % intervals.",
            log_x=True,
        )
        for task in TASKS
    )  # fmt: skip


def _of_share(plan: Plan, task: str, family: str, percent: float) -> tuple[Cell, ...]:
    return trained(plan, task, family, round(percent / 100, 4))


def _metric(plan: Plan, task: str) -> str:
    found = (plan.get(cell) for cell in plan.trained(task, "lstm"))
    return next((str(result["metric"]) for result in found if result), "score")


CLAIM = Claim(
    name="data",
    sentence="LSTM needs little data, Transformer much.",
    protocol="LSTM and Transformer with the same number of parameters and settings on 1 to 100 % "
    "of the training recordings, drawn by seed; as many steps each.",
    metrics=("score on test recordings, paired by split and seed",),
    rules=(BETTER, BETTER),
    grid=grid,
    judge=judge,
    figures=figures,
)
