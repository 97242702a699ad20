"""Figures that several claims draw in the same way."""

from collections.abc import Callable, Sequence
from itertools import groupby

from edgeseq.claims.cell import Cell
from edgeseq.claims.effects import Effect
from edgeseq.claims.figures import Bar, Bars, Figure, Line
from edgeseq.claims.plan import MARGIN, Plan

NAMES = {
    "lstm": "LSTM", "gru": "GRU", "transformer": "Transformer", "cnn": "CNN", "vit": "ViT",
    "hybrid": "hybrid", "encoder": "encoder",
}  # fmt: skip


def gains(plan: Plan, tasks: Sequence[str], first: str, second: str) -> tuple[Figure, ...]:
    """Show how much better one family is than another, a bar a task; one figure a unit."""
    found = [
        (task, effect)
        for task in tasks
        if (effect := plan.gain(plan.trained(task, first), plan.trained(task, second)))
    ]
    by_unit = groupby(sorted(found, key=lambda pair: pair[1].unit), lambda pair: pair[1].unit)
    return tuple(
        Bars(
            f"{NAMES.get(first, first)} against {NAMES.get(second, second)}",
            "points" if unit == "points" else "% of the error",
            tuple(bar(task, effect) for task, effect in pairs),
            f"Above 0 the {NAMES.get(first, first)} is better. Bars end at the mean, lines are "
            f"95 % intervals; {MARGIN[unit]:g} {unit} is what matters.",
            MARGIN[unit],
        )
        for unit, pairs in by_unit
    )


def bar(name: str, effect: Effect) -> Bar:
    """Return an effect as a bar."""
    return Bar(name, effect.mean, effect.low, effect.high)


def line(
    plan: Plan,
    name: str,
    axis: Sequence[float],
    cells: Callable[[float], Sequence[Cell]],
) -> Line:
    """Return the mean scores along an axis with their band, where there are any."""
    found = [(x, effect) for x in axis if (effect := plan.level(cells(x), "")) is not None]
    return Line(
        name,
        tuple(float(x) for x, _ in found),
        tuple(effect.mean for _, effect in found),
        tuple(effect.low for _, effect in found),
        tuple(effect.high for _, effect in found),
    )
