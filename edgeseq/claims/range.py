"""Claim `range`: "LSTM forgets over long distances, attention does not".

The same question asked after more and more frames that mean nothing. `recall` is scored in per cent
of right answers, `adding` by how much of the error of always answering 1 is gone; both are 100 for
one who remembers. The Transformer's window reaches back to the start, as the claim assumes.
"""

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import Claim, part
from edgeseq.claims.effects import Effect, Values, difference, effect
from edgeseq.claims.figures import Curves, Figure, Line
from edgeseq.claims.panels import NAMES, band
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, Word

LAGS = (8, 32, 128, 512)
TASKS = ("recall", "adding")
FAMILIES = ("lstm", "transformer")
FORGETS, KEEPS = 20.0, 10.0
"""Points lost between the shortest lag and the longest: more is forgetting, less is none."""
LEARNED = 70.0
"""Skill at the shortest lag below which nothing was learned that could be forgotten."""
GUESSING = 1 / 3
"""Mean error of always answering 1 in `adding`."""


def trained(plan: Plan, task: str, family: str, lag: int) -> tuple[Cell, ...]:
    """Return the trainings at a lag."""
    return plan.trained(f"{task}-{lag}", family)


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families at every lag of both tasks."""
    return tuple(
        cell
        for lag in lags(plan)
        for task in TASKS
        for family in FAMILIES
        for cell in trained(plan, task, family, lag)
    )


def lags(plan: Plan) -> tuple[int, ...]:
    """Return the lags that the budget has: 512 frames cost more than all others together."""
    return {"10m": LAGS[:2], "1h": LAGS[:3], "full": LAGS}[plan.scale.name]


def skill(plan: Plan, task: str, family: str, lag: int) -> Values:
    """Return 0 for guessing to 100 for remembering, a training."""
    values = plan.values(trained(plan, task, family, lag))
    if task == "adding":
        return {draw: 100 * (1 - value / GUESSING) for draw, value in values.items()}
    return values


def _lost(plan: Plan, task: str, family: str) -> Effect | None:
    near, far = (skill(plan, task, family, lags(plan)[end]) for end in (0, -1))
    return difference(near, far, "points")


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge what either family loses from the shortest lag to the longest, a task each."""
    parts = []
    for task in TASKS:
        for family, statement, rule, decide in (
            ("lstm", "The LSTM forgets", FORGETTING, _forgets),
            ("transformer", "The Transformer does not forget", KEEPING, _keeps),
        ):
            lost = _lost(plan, task, family)
            known = _learned(plan, task, family)
            parts.append(
                part(f"{statement} in {task}.", rule, lost, decide if known else _never_learned)
            )
    return tuple(parts)


def _learned(plan: Plan, task: str, family: str) -> bool:
    near = effect(skill(plan, task, family, LAGS[0]), "%")
    return near is not None and near.mean > LEARNED


def _never_learned(_: Effect) -> Word:
    return "inconclusive"


def _forgets(lost: Effect) -> Word:
    if lost.low > FORGETS:
        return "supported"
    return "refuted" if lost.high < KEEPS else "inconclusive"


def _keeps(lost: Effect) -> Word:
    if lost.high < KEEPS:
        return "supported"
    return "refuted" if lost.low > FORGETS else "inconclusive"


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show what is remembered against the lag."""
    return tuple(
        Curves(
            f"Remembered against distance: {task}",
            "frames between mark and question",
            "skill, %",
            tuple(_line(plan, task, family) for family in FAMILIES),
            "100 is remembering, recall: 12.5 is guessing, adding: 0 is. Bands: 95 % intervals.",
            log_x=True,
        )
        for task in TASKS
    )


def _line(plan: Plan, task: str, family: str) -> Line:
    return band(
        NAMES[family], lags(plan), lambda lag: effect(skill(plan, task, family, int(lag)), "%")
    )


_IF = f"of those that have more than {LEARNED:g} at the shortest lag; else nothing is decided"
FORGETTING = (
    f"loses more than {FORGETS:g} points from the shortest lag to the longest, at the interval's "
    f"lower end; refuted where less than {KEEPS:g} at its upper end; {_IF}"
)
KEEPING = (
    f"loses less than {KEEPS:g} points at the upper end; refuted where more than {FORGETS:g} at "
    f"the lower end; {_IF}"
)
CLAIM = Claim(
    name="range",
    sentence="LSTM forgets over long distances, attention does not.",
    protocol="LSTM and Transformer with the same number of parameters, trained and tuned alike, "
    "each at every lag from 8 to 512 frames; the Transformer's window reaches the start.",
    metrics=("recall: accuracy %", "adding: share of the guessing error that is gone, %"),
    rules=(FORGETTING, KEEPING),
    grid=grid,
    judge=judge,
    figures=figures,
)
