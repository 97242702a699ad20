"""A check as a table for a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from edgeseq.check import CheckReport, Finding
from edgeseq.report.text import table

_STYLE = {"kept": "green", "broken": "bold red", "not checked": "dim"}


def check_table(report: CheckReport) -> RenderableType:
    """Show every promise of every variant: what became of it, where, and by how much."""
    parts: list[RenderableType] = []
    for name, findings in report.variants.items():
        rows = [_row(finding) for finding in findings]
        parts += [table((name, "", "error>", "limit>", "where", "what"), rows), ""]
        parts += _drift(findings)
    return Group(*parts, _verdict(report))


def _row(finding: Finding) -> tuple[str, ...]:
    status = f"[{_STYLE[finding.status]}]{finding.status}[/]"
    numbers = ("" if n is None else f"{n:.2g}" for n in (finding.measured, finding.limit))
    return (finding.promise, status, *numbers, _plain(finding.where), _plain(finding.note))


def _drift(findings: tuple[Finding, ...]) -> list[RenderableType]:
    """Draw the RMS error over the run in ten stretches, for whoever wants to see it flat."""
    parity = next((f.parity for f in findings if f.promise == "values" and f.parity), None)
    if parity is None:
        return []
    curve = " ".join(f"{error:.1e}" for error in parity.drift)
    return [Text(f"RMS error / RMS over the run: {curve}; SQNR {parity.sqnr_db:.0f} dB\n")]


def _verdict(report: CheckReport) -> Text:
    count = sum(f.status == "kept" for findings in report.variants.values() for f in findings)
    text = (
        f"{report.bundle}: {count} promises kept, {len(report.broken)} broken; {report.frames:,} "
        f"reference frames, ONNX Runtime {report.onnxruntime}, {report.provider}, "
        f"seed {report.seed}"
    )
    return Text(text, style="" if report.ok else "bold red")


def _plain(text: str) -> str:
    return text.replace("[", "\\[")  # names may look like markup
