"""Options and arguments that several verbs share, and how results leave."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgeseq.report.sheet import Sheet

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


def output(name: str, metavar: str, help: str) -> Callable[[Command], Command]:
    """Return the required option `-o`, given to the command as `name`."""
    kind = click.Path(path_type=Path)
    return click.option(
        "-o", "--output", name, type=kind, required=True, metavar=metavar, help=help
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


class Count(click.ParamType):  # type: ignore[type-arg] # generic since Click 8.2 only
    """A whole number that may be written as 50k or 1.2M."""

    name = "number"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in Click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return the number."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", value)
        if not match or not float(match[1]):
            self.fail(f"{value!r} is not a size; write 50k, 1.2M or 50000", param, ctx)
        return round(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()])


class Numbers(click.ParamType):  # type: ignore[type-arg] # generic since Click 8.2 only
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in Click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d+(,\d+)*", value):
            self.fail(f"{value!r} is not a list of numbers; write 1,64,1024", param, ctx)
        return tuple(int(part) for part in value.split(","))


class Seconds(click.ParamType):  # type: ignore[type-arg] # generic since Click 8.2 only
    """A time such as 5, 90s, 10m or 1h, in seconds."""

    name = "time"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in Click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Return the seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value)
        if not match:
            self.fail(f"{value!r} is not a time; write 5, 90s, 10m or 1h", param, ctx)
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


@dataclass(frozen=True)
class Extent:
    """How long something runs: so many steps, or so many seconds."""

    steps: int | None = None
    seconds: float | None = None


class StepsOrTime(click.ParamType):  # type: ignore[type-arg] # generic since Click 8.2 only
    """Steps such as 1e6, 50k or 1000000, or a time such as 90s, 10m or 1h."""

    name = "extent"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in Click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Extent:
        """Return the extent."""
        if isinstance(value, Extent):
            return value
        time = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", value)
        steps = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?)([kM]?)", value)
        found = time or steps
        if not found or not float(found[1]):
            self.fail(
                f"{value!r} is not an extent; write steps as 1e6 or 50k, a time as 90s, 10m or 1h",
                param,
                ctx,
            )
        if time:
            return Extent(seconds=float(time[1]) * {"s": 1, "m": 60, "h": 3600}[time[2]])
        return Extent(steps=round(float(found[1]) * {"": 1, "k": 1e3, "M": 1e6}[found[2]]))


class Percent(click.ParamType):  # type: ignore[type-arg] # generic since Click 8.2 only
    """A share that is written in per cent: 5 or 5%."""

    name = "per cent"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in Click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Return the share, 0.05 for 5 %."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%?", str(value))
        if not match:
            self.fail(f"{value!r} is not a margin; write 5 or 5%", param, ctx)
        return float(match[1]) / 100


def summarise(file: Path | None, sheets: Iterable["Sheet"], *, title: str) -> None:
    """Add sheets to `file` as Markdown; several commands of one job may share it."""
    if file:
        from edgeseq.files import write_text
        from edgeseq.report.sheet import as_markdown

        before = file.read_text(encoding="utf-8") + "\n" if file.exists() else ""
        write_text(file, before + as_markdown(sheets, title=title))


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
