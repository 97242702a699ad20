"""`edgeseq quantize`."""

from dataclasses import replace
from pathlib import Path

import click

from edgeseq.cli import modes, options
from edgeseq.cli.progress import Bar
from edgeseq.errors import UsageError

AUTO = {"bundle", "auto", "max_drop", "seed", "cpu_dependent", "report", "as_json"}
"""Parameters that go with `--auto`."""


@click.command(short_help="Add quantized variants to a bundle, judge them, or find the best.")
@options.bundle
@click.option(
    "--recipe", default="int8-dynamic", show_default=True, help="Recipe, by name or as a TOML file."
)
@click.option(
    "--max-drop",
    type=float,
    metavar="D",
    help="Largest loss of the metric at which a twin is still preferred: points of a percentage, "
    "or per cent of fp32's error. Default: the recipe's; with --auto 0.5.",
)
@click.option(
    "--auto",
    is_flag=True,
    help="Instead of one recipe: try all, and mixtures weight by weight; add the best.",
)
@click.option(
    "--cpu-dependent",
    is_flag=True,
    help="With --auto: try also what gives other answers on other CPUs.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="With --auto: draws the stream of recordings, and the intervals.",
)
@click.option(
    "-o",
    "--output",
    "report",
    type=click.Path(path_type=Path),
    metavar="REPORT.html",
    help="With --auto: write the page here. Default: BUNDLE.auto/report.html.",
)
@options.as_json
@click.pass_context
def quantize(
    context: click.Context,
    bundle: Path,
    recipe: str,
    max_drop: float | None,
    auto: bool,
    cpu_dependent: bool,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Make quantized twins of BUNDLE's graphs and judge them.

    Judged are accuracy, drift, size, and speed on this machine.

    Always writes what was asked for, unless it would be quantized in name only; marks as preferred
    what is smaller and faster and good enough. With --auto, candidates are chosen on validation
    recordings and the winner is confirmed on test recordings; interrupted, it goes on where it was.

    \b
    edgeseq quantize bundle --recipe int8-dynamic
    edgeseq quantize bundle --recipe my-recipe.toml
    edgeseq quantize bundle --auto --max-drop 0.5 -o report.html
    """
    from edgeseq.extras import require

    for module in ("onnx", "onnxruntime"):
        require(module)
    if auto:
        modes.require_only(context, "--auto", AUTO)
        _auto(bundle, max_drop, report, cpu_dependent=cpu_dependent, seed=seed, as_json=as_json)
        return
    modes.require_mode(context, "--auto", {"cpu_dependent", "seed", "report"})
    from edgeseq.report.text import bundle_table
    from edgeseq.workflows.quantize import quantize_bundle

    with Bar() as bar:
        result = quantize_bundle(bundle, recipe, max_drop=max_drop, progress=bar.stage)
    options.show(result.manifest.to_json() if as_json else bundle_table(result))


def _auto(
    bundle: Path,
    max_drop: float | None,
    report: Path | None,
    *,
    cpu_dependent: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Search, show, keep; exit 3 where the winner breaks a limit on the test recordings."""
    from edgeseq.report.auto_sheets import auto_sheets
    from edgeseq.workflows.auto import AutoSettings, quantize_auto

    if report and report.suffix not in (".html", ".htm"):
        raise UsageError(f"{report} is no .html; name the page: -o report.html")
    settings = AutoSettings(seed=seed, cpu_dependent=cpu_dependent)
    if max_drop is not None:
        settings = replace(settings, max_drop=max_drop)
    with Bar() as bar:
        result = quantize_auto(bundle, settings, report=report, progress=bar.stage)
    if as_json:
        options.show(result.to_json())
    else:
        options.show_sheets(auto_sheets(result))
    result.require_promises()
