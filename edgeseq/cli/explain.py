"""`edgeseq explain`."""

from pathlib import Path

import click

from edgeseq.cli import kinds, options, running
from edgeseq.cli.progress import Bar

ALL = "all"


@click.command(short_help="Show what of an input a decision was made by, on a page.")
@click.argument("subject", type=click.Path(path_type=Path), metavar="BUNDLE|RUN")
@click.argument("source", metavar="INPUT")
@click.option(
    "--at",
    type=click.IntRange(0),
    metavar="FRAME",
    help="Explain what is decided at this frame, from 0. Default: the last one.",
)
@click.option(
    "--width",
    type=kinds.COUNT,
    metavar="FRAMES",
    help="Frames that occlusion leaves out at a time. Default: a 25th of the input.",
)
@click.option(
    "--method",
    type=click.Choice(["occlusion", "gates", "attention", "gradient", ALL]),
    default=ALL,
    show_default=True,
    help="Occlusion asks any model again and again; the others look into a training run.",
)
@click.option(
    "--label", metavar="NAME", help="Class or value. Default: what is decided, or the first value."
)
@click.option(
    "--skip", type=click.IntRange(0), default=0, metavar="ROWS", help="Leave out the first rows."
)
@click.option("--variant", help="Variant of a bundle. Default: the preferred one.")
@options.output("out", "PAGE.html", "Write the page here.", required=False)
@options.as_json
def explain(
    subject: Path,
    source: str,
    at: int | None,
    width: int | None,
    method: str,
    label: str | None,
    skip: int,
    variant: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Explain one decision of a bundle, an .onnx file or a training run on INPUT.

    INPUT is as in edgeseq run: lines of numbers (.csv, .tsv, .txt, or - for standard input) or an
    array (.npy, .npz), from the stream's start on; for a model of text, a text. Of a bundle,
    occlusion: which stretches, and which channels, change the answer when they are left out. Of a
    training run also its gates, its attention and its gradients, and how far each agrees with
    occlusion on which frames matter.

    \b
    edgeseq explain bundle recording.csv -o page.html
    edgeseq explain run recording.npy --at 99 --method gates
    """
    from edgeseq.errors import UsageError
    from edgeseq.extras import require

    if out and out.suffix not in (".html", ".htm"):
        raise UsageError(f"{out} is no .html; name the page: -o page.html")
    require("onnxruntime")
    from edgeseq.explain.explanation import METHODS
    from edgeseq.report import explain as report
    from edgeseq.workflows.explain import Asked, load_subject, read_frames
    from edgeseq.workflows.explain import explain as library

    loaded = load_subject(subject, variant)
    piped = source == running.STANDARD_INPUT
    given = running.standard_input() if piped else Path(source)
    frames = read_frames(given, loaded.frame, skip)
    asked = Asked(
        methods=tuple(known for known in METHODS if method in (ALL, known)),
        at=at,
        width=width,
        label=label,
    )
    name = "standard input" if piped else Path(source).name
    with Bar() as bar:
        found = library(loaded, frames, asked, input=name, progress=bar.stage)
    if out:
        from edgeseq.files import write_text
        from edgeseq.report.html.explain import render

        write_text(out, render(found))
    if as_json:
        options.show(report.as_json(found))
        return
    options.show_sheets(report.sheets(found))
    if out:
        click.echo(f"\nOpen {out}")
