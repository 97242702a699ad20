"""`edgeseq run`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeseq.cli import kinds, modes, options, running
from edgeseq.cli.interrupt import Interrupts
from edgeseq.errors import UsageError

if TYPE_CHECKING:
    from edgeseq.contract import SessionSettings

OF_FRAMES = {"pace", "limit", "skip"}
OF_TEXT = {"prompt", "length", "temperature", "seed"}


@click.command(short_help="Run a bundle on your data: a file, a pipe, or text to go on with.")
@options.bundle
@click.argument("source", required=False, metavar="[INPUT]")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Go on with the stream in this file, if it exists; keep the stream there at the end.",
)
@click.option(
    "--pace",
    type=click.Choice(["fast", "real-time"]),
    default="fast",
    show_default=True,
    help="Feed frames as they come, or at the contract's rate.",
)
@click.option(
    "--skip", type=click.IntRange(0), default=0, metavar="ROWS", help="Leave out the first rows."
)
@click.option("--limit", type=kinds.COUNT, metavar="FRAMES", help="Stop after so many frames.")
@click.option("--variant", help="Variant of the bundle. Default: the preferred one.")
@click.option(
    "--session",
    "change",
    default="",
    metavar="CHANGE",
    help="Session settings, such as threads=2,spinning=true. Default: the bundle's.",
)
@options.provider
@click.option("--prompt", metavar="TEXT", help="Text to go on with, for a model of text.")
@click.option(
    "--length", type=kinds.COUNT, default=400, show_default=True, help="Tokens to go on for."
)
@click.option(
    "--temperature",
    type=float,
    default=0.8,
    show_default=True,
    help="0 takes the most likely token; below 1 the likely ones come more often.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the tokens."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a frame or token.")
@click.pass_context
def run(
    context: click.Context,
    bundle: Path,
    source: str | None,
    state: Path | None,
    pace: str,
    skip: int,
    limit: int | None,
    variant: str | None,
    change: str,
    provider: str | None,
    prompt: str | None,
    length: int,
    temperature: float,
    seed: int,
    as_json: bool,
) -> None:
    """Feed INPUT to BUNDLE, or to a bare .onnx file, and print what it says of every frame.

    INPUT is lines of numbers (.csv, .tsv, .txt, or - for standard input, answered as they come) or
    an array (.npy, .npz). A row is one sample, in raw units, or one whole frame. Where there is a
    header, it names the channels, in any order; other columns are ignored. A model of text goes on
    with --prompt, or with the text in INPUT.

    \b
    edgeseq run bundle recording.csv
    edgeseq run bundle recording.csv --pace real-time --state stream.npz
    sensor | edgeseq run bundle - --json
    edgeseq run bundle --prompt "def " --length 400 --temperature 0.8 --seed 0

    Printed on a terminal: a board. Into a pipe: frame, seconds, then class and probability, or the
    values and their unit, with tabs between. What is wrong with a row is said with its line; what
    came before it is kept in --state.
    """
    from edgeseq.extras import require

    require("onnxruntime")
    from edgeseq.runtime.feed import Feed
    from edgeseq.runtime.saved import resume
    from edgeseq.runtime.stream import StreamSession
    from edgeseq.runtime.text import TextFeed

    settings = _settings(bundle, variant, change)
    opened = StreamSession(bundle, variant=variant, provider=provider or "cpu", settings=settings)
    every = {parameter.name for parameter in context.command.params if parameter.name}
    with opened as session, Interrupts() as interrupts:
        saved = resume(state, session) if state else None
        tokens = session.contract.frame.vocabulary
        if prompt is None and not (tokens and session.contract.output.labels == tokens):
            modes.require_only(context, f"{bundle}, a model of frames,", every - OF_TEXT)
            feed = Feed(session, saved=saved, real_time=pace == "real-time", shield=interrupts.held)
            running.frames(feed, source, skip=skip, limit=limit, state=state, as_json=as_json)
        else:
            modes.require_only(context, "text", every - OF_FRAMES)
            text = TextFeed(session, saved=saved, shield=interrupts.held)
            running.text(
                text, source, prompt=prompt, length=length, temperature=temperature, seed=seed,
                state=state, as_json=as_json,
            )  # fmt: skip


def _settings(bundle: Path, variant: str | None, change: str) -> "SessionSettings | None":
    """Return the settings that were asked for, or none: those of the bundle."""
    from edgeseq.bench.subjects import session
    from edgeseq.bundle import load_bundle
    from edgeseq.contract import SessionSettings

    bare = bundle.suffix == ".onnx"
    if bare and variant:
        raise UsageError(f"{bundle} is one file, no bundle; leave --variant out")
    if not change:
        return None
    base = SessionSettings() if bare else load_bundle(bundle).variant(variant).session
    return session(change, base)
