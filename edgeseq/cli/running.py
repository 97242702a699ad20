"""The loops of `edgeseq run`: answers to where they go, and the stream kept whatever ends it."""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from edgeseq.errors import StreamError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from edgeseq.contract import Output
    from edgeseq.runtime.feed import Answer, Feed
    from edgeseq.runtime.feed import Tell as TellAnswer
    from edgeseq.runtime.text import TextFeed

STANDARD_INPUT = "-"
REDRAW_S = 0.05


def frames(
    feed: "Feed",
    source: str | None,
    *,
    skip: int,
    limit: int | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Feed the rows of `source`, print every answer, keep the stream."""
    from edgeseq.report.run import summary
    from edgeseq.runtime.rows import read_rows

    if source is None:
        raise UsageError("nothing to run: name a file, or - for standard input")
    piped, output = source == STANDARD_INPUT, feed.session.contract.output
    rows = read_rows(standard_input() if piped else Path(source), feed.session.contract.frame, skip)

    def said(seconds: float) -> Iterator[str]:
        yield from summary(feed, seconds, kept=state is not None)
        if state and not piped and not feed.ended:
            yield f"To go on with the rest of {source}: --skip {skip + feed.rows}"

    with _kept(feed, state, said), _answers(output, piped=piped, as_json=as_json) as tell:
        feed.run(rows, tell, limit=limit)
    if not feed.fed and not state:
        samples = feed.session.contract.frame.samples
        raise StreamError(f"{source} has too few rows for a frame, which is {samples} samples")


def text(
    feed: "TextFeed",
    source: str | None,
    *,
    prompt: str | None,
    length: int,
    temperature: float,
    seed: int,
    state: Path | None,
    as_json: bool,
) -> None:
    """Print how the model goes on after a prompt, token by token; keep the stream."""
    from edgeseq.report.run import text_summary

    given = _prompt(prompt, source, needed=not len(feed.pending))

    def character(token: int, text: str) -> None:
        del token
        click.echo(text if feed.told > 1 else given + text, nl=False)

    tell = _json_token if as_json else character
    with _kept(feed, state, partial(text_summary, feed)):
        feed.run(given, length, tell, temperature=temperature, seed=seed)


@contextmanager
def _kept(
    feed: "Feed | TextFeed", state: Path | None, said: Callable[[float], Iterator[str]]
) -> Iterator[None]:
    """Write the stream to `state` whatever ends the block, and say how it went."""

    def keep() -> None:
        if state:
            feed.saved().save(state)

    keep()  # already now: data must not be used up where nothing can be written
    begin = time.monotonic()
    try:
        yield
    except BrokenPipeError:  # who read the answers has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None
    finally:
        keep()
        for line in said(time.monotonic() - begin):
            click.echo(line, err=True)
        if state:
            click.echo(f"Kept in {state}: the stream after {feed.frames:,} frames", err=True)


@contextmanager
def _answers(output: "Output", *, piped: bool, as_json: bool) -> Iterator["TellAnswer"]:
    """Yield what prints an answer: as JSON, on a board that is redrawn in place, or as a line."""
    from rich.console import Console

    from edgeseq.report.run import line, record

    console = Console(highlight=False)
    typed = piped and sys.stdin.isatty()  # a board would be drawn over what is typed
    if as_json:
        yield lambda answer: click.echo(json.dumps(record(answer, output), ensure_ascii=False))
    elif console.is_terminal and not typed:
        with _board(output, console, idle=piped) as tell:
            yield tell
    else:
        yield lambda answer: click.echo(line(answer, output))


@contextmanager
def _board(output: "Output", console: "Console", *, idle: bool) -> Iterator["TellAnswer"]:
    """Yield what puts an answer on a board.

    It is drawn between two frames, so that drawing is in no step's time; `idle`: by a thread, since
    after a burst of frames none may come for long.
    """
    from rich.live import Live

    from edgeseq.report.run import Board

    board, drawn = Board(output), 0.0
    with Live(board, console=console, auto_refresh=idle, refresh_per_second=8) as live:

        def tell(answer: "Answer") -> None:
            nonlocal drawn
            board.tell(answer)
            if not idle and time.monotonic() - drawn >= REDRAW_S:
                live.refresh()
                drawn = time.monotonic()

        yield tell
        live.refresh()


def standard_input() -> TextIO:
    """Return standard input, in which no byte is an error of its own."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return sys.stdin


def _prompt(prompt: str | None, source: str | None, *, needed: bool) -> str:
    """Return the text to go on with, from wherever it was given."""
    if prompt is not None and source is not None:
        raise UsageError("--prompt and INPUT are both a prompt; leave one of them out")
    if prompt is not None:
        return prompt
    if source == STANDARD_INPUT:
        return standard_input().read()
    if source is not None:
        if not Path(source).is_file():
            raise UsageError(f"no file {source}; name one that exists, or give --prompt TEXT")
        return Path(source).read_text(encoding="utf-8", errors="replace")
    if needed:
        raise UsageError('nothing to go on with: give --prompt "def ", or a text file')
    return ""


def _json_token(token: int, text: str) -> None:
    click.echo(json.dumps({"token": token, "text": text}, ensure_ascii=False))
