"""Figures that several claims draw in the same way."""

from collections.abc import Callable, Sequence

from edgeseq.claims.cell import Cell
from edgeseq.claims.effects import Effect
from edgeseq.claims.figures import Bar, Bars, Figure, Line
from edgeseq.claims.plan import MARGIN, POINTS, Plan

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
    ours, theirs = (NAMES.get(family, family) for family in (first, second))
    note = f"Above 0 the {ours} is better. Bars end at the mean, lines are 95 % intervals"
    return by_unit(f"{ours} against {theirs}", found, note)


def by_unit(title: str, found: Sequence[tuple[str, Effect]], note: str) -> tuple[Figure, ...]:
    """Show gains with the margin that matters, a bar each; one figure a unit."""
    units = sorted({effect.unit for _, effect in found})
    return tuple(
        Bars(
            title,
            "points" if unit == POINTS else "% of the error",
            tuple(bar(name, effect) for name, effect in found if effect.unit == unit),
            f"{note}; {MARGIN[unit]:g} {unit} is what matters.",
            MARGIN[unit],
        )
        for unit in units
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
    return band(name, axis, lambda x: plan.level(cells(x), ""))


def band(name: str, axis: Sequence[float], level: Callable[[float], Effect | None]) -> Line:
    """Return means along an axis with their intervals, where there are any."""
    found = [(x, effect) for x in axis if (effect := level(x)) is not None]
    return Line(
        name,
        tuple(float(x) for x, _ in found),
        tuple(effect.mean for _, effect in found),
        tuple(effect.low for _, effect in found),
        tuple(effect.high for _, effect in found),
    )
