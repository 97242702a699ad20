"""What is said of a run of claims, the same in every form: counts, results, machines, commands."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeseq.claims import CLAIMS
from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.effects import Effect
from edgeseq.claims.plan import MARGIN, PER_CENT, POINTS, ready
from edgeseq.claims.summary import Judged, Summary
from edgeseq.claims.verdict import Part
from edgeseq.report.numbers import duration, short

TITLE = "The claims, tested"
WORDS: Mapping[str, str] = {
    "supported": "every part of the sentence holds, by the rule that was written before the run.",
    "refuted": "a part does not hold, and none that would make it mixed does.",
    "mixed": "one part is supported and another is refuted.",
    "inconclusive": "the interval allows both; what could have been seen stands beside it.",
    "not measured": "cells are missing, or there are too few of them.",
}
READ = (
    "Effects are means of differences between trainings that share split and seed, with 95 % "
    "intervals in brackets.",
    f"What matters: {MARGIN[POINTS]:g} points of a percentage, or {MARGIN[PER_CENT]:g} % of an "
    "error. Below that nobody would choose another model.",
    "Where a task has folds the interval is over folds: it speaks for other people, and has the "
    "luck of seeds in it. Where there is one split, only seeds vary, and nothing is said of other "
    "data.",
    "Seed SD: between seeds of one fold. Fold SD: between folds, the luck of seeds taken off. "
    "Smallest: the true effect that would be seen four times out of five.",
)
ONE_CELL = (
    "DIR is any folder. A cell's command prints the new result beside the kept one where DIR/cells "
    "has the files of cells; a training whose learning rate was searched is found only there."
)
LONG = 90
"""Letters of a result in short."""


def counted(judged: Judged) -> str:
    """Return how much of a claim is there: `12 of 30`."""
    return f"{judged.measured:,} of {len(judged.cells):,}"


def outcomes(summary: Summary) -> tuple[dict[str, Outcome], int]:
    """Return what was measured, each cell once by its key, and of how many cells."""
    cells = {cell.key: found for judged in summary.claims for cell, found in judged.cells}
    return {key: found for key, found in cells.items() if found}, len(cells)


def totals(summary: Summary) -> str:
    """Return cells and time of a run; claims share cells."""
    found, every = outcomes(summary)
    took = duration(sum(outcome.seconds for outcome in found.values()))
    return f"{len(found):,} of {every:,} cells measured, {took} one after the other"


def caution(summary: Summary) -> str:
    """Return what a budget that is not full cannot say; empty where it is."""
    scale = summary.scale
    if scale.tuned:
        return ""
    return (
        f"A rehearsal: models of {scale.params:,} parameters were trained for "
        f"{100 * scale.length:g} % of their steps ({100 * scale.generated:g} % on generated tasks) "
        "and nothing was tuned, so that refuted may mean no more than not trained yet. "
        "--budget full decides."
    )


def headline(summary: Summary) -> str:
    """Return how many claims came to which word: `2 supported, 5 not measured`."""
    words = [judged.verdict.word for judged in summary.claims]
    return ", ".join(
        f"{words.count(word)} {word}" for word in dict.fromkeys(WORDS) if word in words
    )


def run_again(summary: Summary) -> str:
    """Return the command that measures all of it."""
    names = tuple(judged.verdict.claim for judged in summary.claims)
    which = "" if names == CLAIMS else " ".join(names) + " "
    return f"edgeseq claims {which}--budget {summary.scale.name} -o DIR"


def cell_again(summary: Summary, cell: Cell) -> str:
    """Return the command that measures one cell again; what it follows from may be missing."""
    return f"edgeseq claims --budget {summary.scale.name} --cell {cell.key} -o DIR"


def machine_said(machine: Mapping[str, Any]) -> str:
    """Return a machine and its versions in one line."""
    flags = ", ".join(machine.get("flags", ()))
    versions = [
        f"{name} {machine[key]}"
        for key, name in (("python", "Python"), ("numpy", "NumPy"), ("torch", "torch"))
        if machine.get(key)
    ]
    facts = [
        machine.get("cpu"),
        f"{machine['cores']} cores" if machine.get("cores") else None,
        flags,
        machine.get("system"),
        *versions,
        machine.get("onnxruntime"),
        f"edgeseq {machine['edgeseq']}" if machine.get("edgeseq") else None,
    ]
    return "; ".join(str(fact) for fact in facts if fact)


def spread(effect: Effect | None) -> tuple[str, str, str, str]:
    """Return smallest effect, SD of seeds, SD of folds, and trainings of an effect."""
    if effect is None:
        return "", "", "", ""
    seeds, folds = ("" if sd is None else f"{sd:.1f}" for sd in (effect.seed_sd, effect.fold_sd))
    many = f"{effect.trainings} in {effect.folds} folds" if effect.folds > 1 else effect.trainings
    return f"{effect.smallest:.1f}", seeds, folds, str(many)


def statement(part: Part) -> str:
    """Return what a part says, and whether it is only told."""
    return (
        f"{part.statement} (Another device: decides nothing.)" if part.elsewhere else part.statement
    )


def found(part: Part) -> str:
    """Return the effect that decided a part, or what is said in its place."""
    return str(part.effect) if part.effect else part.measured


def shared(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the settings that all of `cells` have alike: they are said once."""
    first, *others = [cell.settings for cell in cells] or [{}]
    return {
        name: value
        for name, value in first.items()
        if value is not None and all(other.get(name) == value for other in others)
    }


def said(settings: Mapping[str, Any], without: Mapping[str, Any]) -> str:
    """Return settings as words, without those that were said."""
    kept = {name: value for name, value in settings.items() if name not in without}
    return str(Cell("train", kept)).partition(" ")[2]


def result_said(cell: Cell, outcome: Outcome | None) -> str:
    """Return a result in short."""
    if outcome is None:
        return "not measured" if ready(cell) else "not measured; waits for the search"
    if outcome.failed:
        return _short(f"failed: {outcome.failed}")
    result = outcome.result
    for name in ("value", "validation"):
        if isinstance(result.get(name), int | float) and "metric" in result:
            kind = "" if name == "value" else "validation "
            return f"{kind}{result['metric']} {short(result[name])}"
    return _short(", ".join(_scalars(result)))


def _scalars(result: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {short(value) if isinstance(value, float) else value}"
        for name, value in result.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"
