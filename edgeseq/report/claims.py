"""A run of claims in a terminal, and the files that it leaves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from edgeseq import files
from edgeseq.claims.summary import Summary
from edgeseq.report.claim_words import caution
from edgeseq.report.claims_markdown import markdown
from edgeseq.report.html.claims import render

VERDICTS, MARKDOWN, PAGE = "verdicts.json", "report.md", "report.html"


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
    title = f"Verdicts, {summary.scale.name}; report in {out}"
    table = Table(title=title, caption=caution(summary) or None, show_lines=True)
    for name in ("claim", "the essay says", "verdict", "measured", "cells"):
        table.add_column(name, overflow="fold")
    for judged in summary.claims:
        verdict = judged.verdict
        measured = "\n".join(f"{p.statement} {p.word}: {p.measured}" for p in verdict.parts)
        count = f"{judged.measured}/{len(judged.cells)}"
        table.add_row(verdict.claim, verdict.hypothesis, verdict.word, measured, count)
    return table


def leave(summary: Summary, out: Path) -> None:
    """Write the verdicts and the report, as a page and as Markdown, into `out`."""
    files.write_json(out / VERDICTS, summary.to_json())
    files.write_text(out / MARKDOWN, markdown(summary))
    files.write_text(out / PAGE, render(summary))
