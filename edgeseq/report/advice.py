"""Advice as text."""

from dataclasses import asdict
from typing import Any

from edgeseq.claims.advise import Advice
from edgeseq.claims.essay import LITTLE, SHORT, Essay
from edgeseq.claims.ranking import Ranked
from edgeseq.report.numbers import short
from edgeseq.report.sheet import Sheet

UNKNOWN = "I don't know."
OTHERS = 6
"""Candidates that are listed."""


def sheets(advice: Advice) -> list[Sheet]:
    """Return the answer, the candidates, what would change it, and the essay's rule."""
    choice = advice.choice
    if choice is None:
        return [Sheet((), (), (UNKNOWN, *advice.unknown)), Sheet((), (), _essay(advice))]
    said = [f"Take: {choice.name}", *(f"- {reason}" for reason in advice.reasons)]
    if advice.runner_up:
        said.append(f"Runner-up: {advice.runner_up.name}{_behind(advice.runner_up)}")
    changes = ("What would change this:", *(f"- {change}" for change in advice.would_change))
    return [
        Sheet((), (), tuple(said)),
        _candidates(advice),
        Sheet((), (), changes),
        Sheet((), (), _essay(advice)),
    ]


def as_json(advice: Advice) -> dict[str, Any]:
    """Return advice as JSON values."""
    return asdict(advice)


def _candidates(advice: Advice) -> Sheet:
    scores = tuple(f"{task}>" for task, _ in advice.tasks)
    columns = (
        "", *scores, "against the best", "as good", "KiB>", "step µs>", "MiB>", "CPU s/hour>",
    )  # fmt: skip
    streaming = bool(advice.question.streaming)
    rows = [_row(item, streaming=streaming) for item in advice.ranked[:OTHERS]]
    left = len(advice.ranked) - OTHERS
    return Sheet(columns, tuple(rows), (f"and {left} more",) if left > 0 else ())


def _row(item: Ranked, *, streaming: bool) -> tuple[str, ...]:
    effects = "; ".join(str(effect) for effect in item.behind if effect)
    costs = item.costs
    step = costs.paced_us if streaming else costs.hot_us
    numbers = (_number(cost) for cost in (costs.kib, step, costs.memory_mib, costs.cpu_s_per_hour))
    scores = (f"{score:.1f}" for score in item.scores)
    return (item.name, *scores, effects, "yes" if item.as_good else "no", *numbers)


def _number(value: float | None) -> str:
    return "" if value is None else short(value)


def _behind(item: Ranked) -> str:
    effects = "; ".join(str(effect) for effect in item.behind if effect)
    word = "as good, and dearer" if item.as_good else "not shown to be as good"
    return f", {word}" + (f" ({effects} against the best)" if effects else "")


def _essay(advice: Advice) -> tuple[str, ...]:
    if advice.essay is None:
        return ()
    said = [f"The essay: {advice.essay.rule}.", f"Here: {_conditions(advice.essay)}."]
    if advice.choice:
        said.append(
            f"The measurements disagree: {advice.disagrees}."
            if advice.disagrees
            else "The measurements agree."
        )
    return tuple(said)


def _conditions(essay: Essay) -> str:
    words = [
        f"{'' if essay.streaming else 'not '}streaming",
        f"compute {'' if essay.scarce else 'not '}very scarce",
        f"{'' if essay.short else 'not '}short with little data (at most {SHORT} frames and "
        f"{100 * LITTLE:g} %; our numbers)",
    ]
    return f"{', '.join(words)}: {essay.family}"
