"""Options and arguments that several verbs share, and how results leave."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
