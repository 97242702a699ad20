"""Options and arguments that several verbs share, and how results leave."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgeseq.report.sheet import Sheet
    from edgeseq.stored import StoredResult

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

bundle = click.argument(
    "bundle", type=click.Path(path_type=Path), metavar="BUNDLE"
)  # existence is the library's to judge: its message says what to type

provider = click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda"]),
    default=None,
    help="ONNX Runtime execution provider; another one never runs in its place. Default: cpu.",
)


def output(
    name: str, metavar: str, help: str, *, required: bool = True
) -> Callable[[Command], Command]:
    """Return the option `-o`, given to the command as `name`."""
    kind = click.Path(path_type=Path)
    return click.option(
        "-o", "--output", name, type=kind, required=required, metavar=metavar, help=help
    )


device = click.option(
    "--device", metavar="NAME", help="Apply a profile's session settings and budget."
)

strict = click.option(
    "--strict", is_flag=True, help="A promise that could not be checked fails, too."
)

result = click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="RESULT.json",
    help="Keep the result here, with all samples.",
)

summary = click.option(
    "--summary",
    type=click.Path(path_type=Path),
    metavar="FILE.md",
    help="Add the tables to this file as Markdown, for the comment of a pull request.",
)


def summarise(file: Path | None, sheets: Iterable["Sheet"], *, title: str) -> None:
    """Add sheets to `file` as Markdown; several commands of one job may share it."""
    if file:
        from edgeseq.files import write_text
        from edgeseq.report.sheet import as_markdown

        before = file.read_text(encoding="utf-8") + "\n" if file.exists() else ""
        write_text(file, before + as_markdown(sheets, title=title))


def leave(
    result: "StoredResult",
    sheets: Callable[[], list["Sheet"]],
    *,
    out: Path | None,
    summary: Path | None,
    title: str,
    as_json: bool,
) -> None:
    """Keep a measurement where it was asked for, and print it: as tables, or as JSON.

    Kept first: an hour of measuring must not depend on tables that can be drawn.
    """
    if out:
        result.save(out)
    drawn = sheets()
    summarise(summary, drawn, title=title)
    if as_json:
        show(result.to_json())
    else:
        show_sheets(drawn)


def end_if_interrupted(interrupted: bool) -> None:
    """Exit with 130 where ctrl-C ended a measurement early."""
    if interrupted:
        click.echo("Interrupted: the above is what was measured until then", err=True)
        click.get_current_context().exit(130)


def show_sheets(sheets: Iterable["Sheet"]) -> None:
    """Print sheets as tables."""
    from edgeseq.report.sheet import as_text

    show(as_text(sheets))


def show(result: Any) -> None:  # noqa: ANN401 - JSON values, or what rich can draw
    """Print a result on standard output: JSON values as JSON, anything else as text."""
    if isinstance(result, dict | list):
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    # A pipe gets whole lines; a terminal its own width.
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    console.print(result)
