"""The one boundary that turns failures into a line and an exit code."""

import sys
from typing import Any

import click

from edgeseq.errors import EdgeseqError


class App(click.Group):
    """A group whose commands run in the order of the work, and fail in one line.

    Exit codes: 0 fine, 1 failed, 2 usage, 3 ran but a promise broke, 130 interrupted.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List commands in the order in which they are added: that of the work."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as in Click
        """Run a command; show what edgeseq itself can name as one line."""
        try:
            return super().invoke(ctx)
        except EdgeseqError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo(
                "Interrupted. Nothing finished is lost; the same command goes on "
                "(train: with --resume)",
                err=True,
            )
            sys.exit(130)
        except OSError as error:
            if error.errno is None:
                raise
            name = f" {error.filename}" if error.filename else ""
            click.echo(f"Error: {error.strerror}{name}", err=True)
            sys.exit(1)
