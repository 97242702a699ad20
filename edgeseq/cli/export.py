"""`edgeseq export`."""

import re
from pathlib import Path
from typing import get_args

import click

from edgeseq.cli import options
from edgeseq.cli.progress import Bar
from edgeseq.contract import Form
from edgeseq.errors import UsageError


@click.command(short_help="Turn a trained run into a bundle of ONNX files.")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@options.output("out", "BUNDLE", "Directory for the bundle; an older one is replaced whole.")
@click.option(
    "--form",
    type=click.Choice(get_args(Form)),
    default="step",
    show_default=True,
    help="step carries a bounded state; sequence takes all frames at once; the others are for "
    "comparison: recompute keeps frames and computes all of them anew, growing-cache forgets none.",
)
@click.option(
    "--static",
    metavar="N=1,T=1",
    help="Fix the number of streams N and frames T, for compilers that need it.",
)
@click.option(
    "--recipe",
    default="streaming-fp32",
    show_default=True,
    help="Recipe, by name or as a TOML file.",
)
@options.as_json
def export(
    run: Path, out: Path, form: Form, static: str | None, recipe: str, as_json: bool
) -> None:
    """Export RUN as a bundle: step graph, contract, reference, and the proof that they agree.

    Every graph streams 10,000 real frames through ONNX Runtime and must give what PyTorch gives
    on the whole sequence; otherwise nothing is written.

    \b
    edgeseq export run -o bundle
    """
    from edgeseq.extras import require

    for module in ("torch", "onnx", "onnxruntime"):
        require(module)
    from edgeseq.report.text import bundle_table
    from edgeseq.workflows.export import ExportSettings, export_run

    streams, frames = _static(static)
    settings = ExportSettings(
        form=form,
        streams=streams,
        frames=frames,
        recipe=recipe,
    )
    with Bar() as bar:
        bundle = export_run(run, out, settings, progress=bar.stage)
    options.show(bundle.manifest.to_json() if as_json else bundle_table(bundle))


def _static(text: str | None) -> tuple[int | None, int | None]:
    """Read `N=1,T=1`."""
    if text is None:
        return None, None
    match = re.fullmatch(r"N=([1-9]\d*),T=([1-9]\d*)", text.replace(" ", ""))
    if not match:
        raise UsageError(f"--static {text} is not of the form N=1,T=1")
    return int(match[1]), int(match[2])
