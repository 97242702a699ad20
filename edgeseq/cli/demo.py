"""`edgeseq demo`."""

from pathlib import Path

import click

from edgeseq.cli import kinds, options
from edgeseq.cli.progress import Bar


@click.command(short_help="All of it on real data, in minutes, with a report.")
@options.output("out", "DIR", "Directory for runs, bundles, results.json and report.html.")
@click.option("--task", default="har", show_default=True, help="Task, or TOML of your own data.")
@click.option(
    "--params",
    type=kinds.COUNT,
    default="50k",
    show_default=True,
    help="Parameters of each model, at most.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides everything random.")
@click.option("--fold", type=int, default=0, show_default=True, help="Which split of the task.")
@options.as_json
def demo(out: Path, task: str, params: int, seed: int, fold: int, as_json: bool) -> None:
    """Train an LSTM and a Transformer, export, quantize, check, bench, report.

    Leaves DIR/report.html: one page, no network. Interrupted, the same command goes on.

    \b
    edgeseq demo -o demo
    """
    from edgeseq.extras import require

    for module in ("torch", "onnx", "onnxruntime"):
        require(module)
    from edgeseq.report.text import demo_summary
    from edgeseq.workflows.demo import run_demo

    with Bar() as bar:
        result = run_demo(out, task=task, params=params, seed=seed, fold=fold, progress=bar.stage)
    options.show(result.to_json() if as_json else demo_summary(result, out))
    result.require_promises()
