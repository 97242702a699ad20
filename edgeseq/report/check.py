"""A check as a table for a terminal, and as Markdown for a pull request."""

from rich.console import Group, RenderableType
from rich.text import Text

from edgeseq.check import CheckReport, Finding
from edgeseq.report.bench import verdicts
from edgeseq.report.sheet import Sheet, as_text
from edgeseq.report.text import table

_STYLE = {"kept": "green", "broken": "bold red", "not checked": "dim"}


def check_table(report: CheckReport) -> RenderableType:
    """Show every promise of every variant: what became of it, where, and by how much."""
    parts: list[RenderableType] = []
    for name, findings in report.variants.items():
        rows = [_coloured(finding) for finding in findings]
        parts += [table(_heads(name), rows), ""]
        parts += [Text(f"{line}\n") for line in _drift(findings)]
    if report.budget:
        parts += [as_text([verdicts(report.budget)]), ""]
    return Group(*parts, Text(_verdict(report), style="" if report.ok else "bold red"))


def check_sheets(report: CheckReport) -> list[Sheet]:
    """Return the same as sheets, the verdict first."""
    sheets = [Sheet((), (), (_verdict(report),))]
    if report.budget:
        sheets.append(verdicts(report.budget))
    for name, findings in report.variants.items():
        rows = tuple(_row(finding) for finding in findings)
        sheets.append(Sheet(_heads(name), rows, tuple(_drift(findings))))
    return sheets


def _heads(name: str) -> tuple[str, ...]:
    return name, "", "error>", "limit>", "where", "what"


def _row(finding: Finding) -> tuple[str, ...]:
    numbers = ("" if n is None else f"{n:.2g}" for n in (finding.measured, finding.limit))
    return (finding.promise, finding.status, *numbers, finding.where, finding.note)


def _coloured(finding: Finding) -> tuple[str, ...]:
    promise, status, *others = _row(finding)
    return (promise, f"[{_STYLE[status]}]{status}[/]", *(_plain(text) for text in others))


def _drift(findings: tuple[Finding, ...]) -> list[str]:
    """Write the RMS error over the run in ten stretches, for whoever wants to see it flat."""
    parity = next((f.parity for f in findings if f.promise == "values" and f.parity), None)
    if parity is None:
        return []
    curve = " ".join(f"{error:.1e}" for error in parity.drift)
    return [f"RMS error / RMS over the run: {curve}; SQNR {parity.sqnr_db:.0f} dB"]


def _verdict(report: CheckReport) -> str:
    count = sum(f.status == "kept" for findings in report.variants.values() for f in findings)
    return (
        f"{report.bundle}: {count} promises kept, {len(report.broken)} broken; {report.frames:,} "
        f"reference frames, ONNX Runtime {report.onnxruntime}, {report.provider}, "
        f"seed {report.seed}"
    )


def _plain(text: str) -> str:
    return text.replace("[", "\\[")  # names may look like markup
