"""A run of claims as Markdown: what the page says, figures as small tables of numbers."""

from collections.abc import Iterator, Sequence

from edgeseq.claims.figures import Bars, Curves, Figure, Heat, Points
from edgeseq.claims.summary import Judged, Summary
from edgeseq.claims.verdict import Part
from edgeseq.report import claim_words as words
from edgeseq.report.numbers import NOT_MEASURED, short
from edgeseq.report.sheet import markdown_table

Rows = list[list[str]]
MOST = 12
"""Places of a curve that are shown; of more, as many in equal steps."""


def markdown(summary: Summary) -> str:
    """Return the whole report."""
    blocks = [
        f"# {words.TITLE}: {words.headline(summary)}",
        f"Budget {summary.scale.name}; {words.totals(summary)}. {words.caution(summary)}".rstrip(),
        verdict_table(summary),
        "## How to read it",
        _list(f"*{word}*: {meaning}" for word, meaning in words.WORDS.items()),
        _list(words.READ),
        *(block for judged in summary.claims for block in _claim(judged)),
        "## Where it was measured, and how to get the same",
        _list(map(words.machine_said, summary.machines)) or NOT_MEASURED,
        f"    {words.run_again(summary)}\n    edgeseq claims --budget {summary.scale.name} "
        "--cell KEY -o DIR",
        words.ONE_CELL,
    ]
    return "\n\n".join(blocks) + "\n"


def verdict_table(summary: Summary) -> str:
    """Return the verdicts as a table."""
    columns = ("claim", "the essay says", "verdict", "part by part", "cells>")
    return markdown_table(columns, [_verdict(judged) for judged in summary.claims])


def verdict_block(summary: Summary) -> str:
    """Return the verdicts, and below them how much was measured, where, and by which command."""
    machines = "; ".join(map(words.machine_said, summary.machines))
    where = f", on {machines}" if machines else ""
    note = f"{words.totals(summary)}{where}. All of it: `{words.run_again(summary)}`."
    return f"{verdict_table(summary)}\n\n{note}"


def _verdict(judged: Judged) -> list[str]:
    verdict = judged.verdict
    parts = "<br>".join(map(_said, verdict.parts))
    return [
        f"`{verdict.claim}`", verdict.hypothesis, f"**{verdict.word}**", parts,
        words.counted(judged),
    ]  # fmt: skip


def _said(part: Part) -> str:
    if part.word == NOT_MEASURED:
        return f"{words.statement(part)} *{part.word}*"
    return f"{words.statement(part)} *{part.word}*: {words.found(part)}"


def _list(lines: "Iterator[str] | Sequence[str]") -> str:
    return "\n".join(f"- {line}" for line in lines)


def _claim(judged: Judged) -> Iterator[str]:
    verdict, declared = judged.verdict, judged.declaration
    yield f"## {verdict.claim}: {verdict.hypothesis}"
    yield f"**{verdict.word}**, {words.counted(judged)} cells. {declared['protocol']}"
    yield f"Declared before the run: `{declared['sha256']}`."
    yield markdown_table(
        ("part", "rule", "verdict", "effect [95 %]", "smallest>", "seed SD>", "fold SD>",
         "trainings>"),
        [_part(part) for part in verdict.parts],
    )  # fmt: skip
    if verdict.notes:
        yield _list(verdict.notes)
    for figure in judged.figures:
        yield f"### {figure.title}"
        yield numbers(figure)
        if figure.caption:
            yield figure.caption


def _part(part: Part) -> list[str]:
    return [
        words.statement(part), part.rule, part.word, words.found(part), *words.spread(part.effect),
    ]  # fmt: skip


def numbers(figure: Figure) -> str:
    """Return a figure as a table."""
    if isinstance(figure, Curves):
        columns, rows = _curves(figure)
    elif isinstance(figure, Bars):
        columns = ["", f"{figure.label}>", "95 %>"]
        rows = [[b.name, short(b.value), _interval(b.low, b.high)] for b in figure.bars]
    elif isinstance(figure, Heat):
        columns, rows = _heat(figure)
    else:
        columns, rows = _points(figure)
    return markdown_table(columns, rows) if rows else NOT_MEASURED


def _interval(low: float, high: float) -> str:
    return f"{short(low)} to {short(high)}"


def _curves(figure: Curves) -> tuple[list[str], Rows]:
    places = sorted({at for line in figure.lines for at in line.x})
    places = places[:: -(-len(places) // MOST) or 1]
    lines = [line for line in figure.lines if line.x]
    rows = []
    for at in places:
        row = [short(at)]
        for line in lines:
            n = line.x.index(at) if at in line.x else None
            row.append("" if n is None else short(line.y[n]))
            if n is not None and n < len(line.low):
                row[-1] += f" ({_interval(line.low[n], line.high[n])})"
        rows.append(row)
    return [figure.x_label, *(f"{line.name}: {figure.y_label}>" for line in lines)], rows


def _heat(figure: Heat) -> tuple[list[str], Rows]:
    step = -(-len(figure.columns) // MOST) or 1
    rows = [
        [name, *("" if value is None else short(value) for value in values[::step])]
        for name, values in zip(figure.rows, figure.values, strict=True)
    ]
    heads = [f"{column}>" for column in figure.columns[::step]]
    return [f"{figure.y_label} / {figure.x_label}, {figure.unit}", *heads], rows


def _points(figure: Points) -> tuple[list[str], Rows]:
    rows = [
        [p.name, p.precision, short(p.x), short(p.y), "yes" if p.on_front else ""]
        for p in figure.points
    ]
    return ["", "precision", f"{figure.x_label}>", f"{figure.y_label}>", "on the front"], rows
