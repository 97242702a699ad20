"""`edgeseq compare`."""

from pathlib import Path

import click

from edgeseq.cli import kinds, options


@click.command(short_help="Compare two results of bench, quantity by quantity.")
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD.json")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW.json")
@click.option(
    "--margin",
    type=kinds.PERCENT,
    default=0.05,
    show_default="5",
    metavar="PERCENT",
    help="How much worse is still the same.",
)
@options.strict
@options.summary
@options.as_json
def compare(
    old: Path, new: Path, margin: float, strict: bool, summary: Path | None, as_json: bool
) -> None:
    """Say what changed from OLD to NEW, and how sure that is; exit 3 where it got worse.

    Nothing took turns between two runs, so hot latency is judged in multiples of what a session
    that does nothing took in the same run; times of different machines are not judged at all. To
    compare two bundles that are both at hand, run them side by side: edgeseq bench A B.

    \b
    edgeseq compare before.json after.json --margin 5
    """
    from dataclasses import asdict

    from edgeseq.bench.compare import compare_results
    from edgeseq.bench.results import BenchResult
    from edgeseq.budget import require_promises
    from edgeseq.report.bench import comparison_sheets

    results = BenchResult.load(old), BenchResult.load(new)
    found = compare_results(*results, margin, names=(old.name, new.name))
    sheets = comparison_sheets(found)
    options.summarise(summary, sheets, title="edgeseq compare")
    if as_json:
        options.show(asdict(found))
    else:
        options.show_sheets(sheets)
    hint = "Both side by side, if both bundles are at hand: edgeseq bench OLD NEW"
    require_promises(found.verdicts, strict=strict, where=new.name, next_step=hint)
