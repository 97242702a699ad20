"""What the generated blocks of the pages share: results, tables, and where they were measured."""

from pathlib import Path

from edgeseq.report.sheet import markdown_table

RESULTS = Path(__file__).parent / "benchmarks" / "results"


def machine_line(machine: dict, versions: dict) -> str:
    """On what, and with what, a figure was measured."""
    kind = "virtual, " if machine["virtualised"] else ""
    flags = "".join(f", {flag}" for flag in machine["flags"] if "vnni" in flag)
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine['cpu']} ({kind}{machine['cores']} cores{flags}), Python {machine['python']}, "
        f"{machine['onnxruntime']}" + (f", {libraries}" if libraries else "")
    )


def measured_on(table: dict) -> str:
    """Where the figures of a benchmark come from, in one sentence."""
    return f"Measured on {machine_line(table['machine'], table.get('versions', {}))}."


def block(heads, rows, note: str = "", *, texts: int = 1) -> str:
    """A table, its first `texts` columns words and the others numbers, and a note below it."""
    columns = [*heads[:texts], *(f"{head}>" for head in heads[texts:])]
    return markdown_table(columns, rows) + (f"\n\n{note}" if note else "")
