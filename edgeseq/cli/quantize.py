"""`edgeseq quantize`."""

from pathlib import Path

import click

from edgeseq.cli import options
from edgeseq.cli.progress import Bar


@click.command(short_help="Add int8, int4 or fp16 variants to a bundle, and judge them.")
@options.bundle
@click.option(
    "--recipe", default="int8-dynamic", show_default=True, help="Recipe, by name or as a TOML file."
)
@click.option(
    "--max-drop",
    type=float,
    metavar="D",
    help="Largest loss of the metric at which a twin is still preferred. Default: the recipe's.",
)
@options.as_json
def quantize(bundle: Path, recipe: str, max_drop: float | None, as_json: bool) -> None:
    """Make int8, int4, mixed (or, for GPUs, fp16) twins of BUNDLE's graphs and judge them.

    Judged are accuracy, drift, size, and speed on this machine.

    Always writes what was asked for, unless it would be int8 or int4 in name only; marks as
    preferred what is smaller and faster and good enough.

    \b
    edgeseq quantize bundle --recipe int8-dynamic
    edgeseq quantize bundle --recipe int4-weights
    edgeseq quantize bundle --recipe my-recipe.toml
    """
    from edgeseq.extras import require

    for module in ("onnx", "onnxruntime"):
        require(module)
    from edgeseq.report.text import bundle_table
    from edgeseq.workflows.quantize import quantize_bundle

    with Bar() as bar:
        result = quantize_bundle(bundle, recipe, max_drop=max_drop, progress=bar.stage)
    options.show(result.manifest.to_json() if as_json else bundle_table(result))
