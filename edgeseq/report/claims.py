"""A run of claims as text and Markdown, and the files that it leaves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from edgeseq import files
from edgeseq.claims.summary import Judged, Summary

VERDICTS, MARKDOWN = "verdicts.json", "report.md"


def declarations(declared: Sequence[Mapping[str, Any]]) -> Table:
    """Return what every claim fixed before the run."""
    table = Table(title="Declared before anything is measured", show_lines=True)
    for name in ("claim", "hypothesis and rules", "cells", "sha256"):
        table.add_column(name, overflow="fold")
    for one in declared:
        rules = "\n".join(f"- {rule}" for rule in dict.fromkeys(one["rules"]))
        said = f"{one['sentence']}\n{one['protocol']}\n{rules}"
        table.add_row(one["claim"], said, str(one["cells"]), one["sha256"][:12])
    return table


def verdicts(summary: Summary, out: Path) -> Table:
    """Return the verdicts."""
    table = Table(title=f"Verdicts, {summary.scale.name}; report in {out}", show_lines=True)
    for name in ("claim", "the essay says", "verdict", "measured", "cells"):
        table.add_column(name, overflow="fold")
    for judged in summary.claims:
        verdict = judged.verdict
        measured = "\n".join(f"{p.statement} {p.word}: {p.measured}" for p in verdict.parts)
        count = f"{judged.measured}/{len(judged.cells)}"
        table.add_row(verdict.claim, verdict.hypothesis, verdict.word, measured, count)
    return table


def leave(summary: Summary, out: Path) -> None:
    """Write the verdicts and the report into `out`."""
    files.write_json(out / VERDICTS, summary.to_json())
    files.write_text(out / MARKDOWN, markdown(summary))


def verdict_table(summary: Summary) -> str:
    """Return the verdicts as a Markdown table."""
    lines = ["| claim | the essay says | verdict | measured |", "|---|---|---|---|"]
    for judged in summary.claims:
        verdict = judged.verdict
        lines.append(
            f"| `{verdict.claim}` | {verdict.hypothesis} | **{verdict.word}** | {_found(judged)} |"
        )
    return "\n".join(lines) + "\n"


def _found(judged: Judged) -> str:
    parts = judged.verdict.parts
    if all(part.word == "not measured" for part in parts):
        return f"{judged.measured} of {len(judged.cells)} cells"
    return "<br>".join(f"{part.statement} *{part.word}*: {part.measured}" for part in parts)


def markdown(summary: Summary) -> str:
    """Return the whole report as Markdown."""
    return f"# The claims, tested\n\n{verdict_table(summary)}"
