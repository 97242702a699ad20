"""Claim `explain`: "LSTM's gates can be read somewhat, attention less".

What mattered to a decision is found by leaving frames out (occlusion; Zeiler & Fergus 2014,
arXiv:1311.2901). Gates, and attention (rolled out through layers; Abnar & Zuidema 2020,
arXiv:2005.00928), can be read as far as they rank frames in the same order, beyond what "the later
the more" says already, which nobody needs a gate for.
"""

from collections.abc import Iterator

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import Claim, part
from edgeseq.claims.effects import Effect, Values, difference, effect
from edgeseq.claims.figures import Bars, Figure, Heat
from edgeseq.claims.panels import bar
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, Word, above

TASKS = ("har", "images")
READ = {"gates": "lstm", "attention": "transformer"}
"""What is read in which family."""
SOMEWHAT = 30.0
"""Per cent of a perfect partial rank correlation that counts as readable."""
INPUTS = 40
"""Test windows that are explained."""


def explained(plan: Plan, task: str, family: str) -> tuple[Cell, ...]:
    """Return the cells that explain a family's trainings."""
    inputs = max(10, round(INPUTS * plan.scale.repetitions))
    first, *others = plan.trained(task, family)
    return (
        Cell("explain", {**first.settings, "inputs": inputs, "picture": True}),
        *(Cell("explain", {**cell.settings, "inputs": inputs}) for cell in others),
    )


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return both families on every task."""
    return tuple(
        cell for task in TASKS for family in READ.values() for cell in explained(plan, task, family)
    )


def agreement(plan: Plan, task: str, method: str) -> Values:
    """Return the mean partial rank correlation with occlusion, %, a training."""
    return plan.values(explained(plan, task, READ[method]), method)


def judge(plan: Plan) -> tuple[Part, ...]:
    """Judge both halves on every task."""
    parts = []
    for task in TASKS:
        gates, attention = (agreement(plan, task, method) for method in READ)
        parts += [
            part(f"Gates can be read somewhat on {task}.", READABLE, effect(gates, "%"), _readable),
            part(
                f"Attention can be read less on {task}.",
                LESS,
                difference(gates, attention, "points"),
                _less,
            ),
        ]
    return tuple(parts)


def _readable(level: Effect) -> Word:
    return above(level.interval, SOMEWHAT)


def _less(found: Effect) -> Word:
    return above(found.interval, 0)


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show how well each method agrees with occlusion, and what is inside for a real example."""
    return (*_agreements(plan), *(map_ for task in TASKS for map_ in _maps(plan, task)))


def _maps(plan: Plan, task: str) -> Iterator[Figure]:
    """Yield gates and attention of the first trainings on their first test window."""
    for name, family, title, rows in (
        ("kept", "lstm", "Forget gates of the last layer", "unit"),
        ("attended", "transformer", "Attention of the last layer", "from frame"),
    ):
        found = plan.get(explained(plan, task, family)[0])
        if not found or name not in found:
            continue
        values = tuple(tuple(row) for row in found[name])
        mattered = sorted(range(len(values[0])), key=lambda n: -found["occlusion"][n])[:3]
        yield Heat(
            f"{title}: {task}",
            "frame",
            rows,
            tuple(map(str, range(len(values)))),
            tuple(map(str, range(len(values[0])))),
            values,
            "",
            f"A test window that was taken for {found['label']}; by occlusion frames "
            f"{', '.join(map(str, sorted(mattered)))} mattered most.",
        )


def _agreements(plan: Plan) -> tuple[Figure, ...]:
    return tuple(
        Bars(
            f"Agreement with occlusion: {task}",
            "partial rank correlation, %",
            tuple(
                bar(f"{method}, {family}", found)
                for family in READ.values()
                for method in (*READ, "gradient", "integrated")
                if (found := effect(plan.values(explained(plan, task, family), method), "%"))
            ),
            "Beyond what recency alone explains. 100 is the same order of frames, 0 none.",
            SOMEWHAT,
        )
        for task in TASKS
    )


READABLE = (
    f"partial rank correlation with occlusion above {SOMEWHAT:g} % at the interval's lower end; "
    "refuted where below at its upper end"
)
LESS = "gates agree more than attention, interval above 0; refuted where all of it is below"
CLAIM = Claim(
    name="explain",
    sentence="LSTM's gates can be read somewhat, attention less.",
    protocol="LSTM and Transformer with the same number of parameters, trained and tuned alike; "
    "test windows explained by occlusion, gates, attention and gradients.",
    metrics=("Spearman's rank correlation with occlusion, recency partialled out",),
    rules=(READABLE, LESS),
    grid=grid,
    judge=judge,
    figures=figures,
)
