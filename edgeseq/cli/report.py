"""`edgeseq report`."""

from pathlib import Path

import click

from edgeseq.cli import options


@click.command(short_help="Draw any number of results as one page, or as Markdown.")
@click.argument(
    "results", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULT.json..."
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="PAGE.html",
    help="Write the page here; a name that ends in .md gets the tables as Markdown.",
)
@click.option("--markdown", is_flag=True, help="Markdown, printed where there is no -o.")
@click.option("--check", is_flag=True, help="Refuse a result that devices/results/ would not take.")
@options.as_json
def report(
    results: tuple[Path, ...], out: Path | None, markdown: bool, check: bool, as_json: bool
) -> None:
    """Show results of `edgeseq bench -o`: of any machines, devices and bundles, on one page.

    What accuracy costs, latencies hot and paced, memory, paced runs step by step, and all tables.
    The page needs no network. One result that cannot be read, and nothing is written.

    \b
    edgeseq report before.json after.json -o report.html
    edgeseq report *.json --markdown
    edgeseq report raspberry-pi-4-2026-11-24.json --check
    """
    from edgeseq.errors import UsageError
    from edgeseq.report.results import load_runs, markdown_page, overview, summary

    if not (out or markdown or check or as_json):
        raise UsageError("where to? Name the page: edgeseq report RESULT.json -o report.html")
    if out and out.suffix not in (".html", ".htm", ".md"):
        raise UsageError(f"{out} is neither .html nor .md; name the page: -o report.html")
    runs = load_runs(results, contributed=check)
    plain = markdown or (out is not None and out.suffix == ".md")
    if out:
        from edgeseq.files import write_text
        from edgeseq.report.html.results import render

        write_text(out, markdown_page(runs) if plain else render(runs))
    if as_json:
        options.show(summary(runs))
    elif plain and not out:
        click.echo(markdown_page(runs), nl=False)
    else:
        options.show_sheets(overview(runs)[:1])
        if out:
            click.echo(f"\nOpen {out}")
