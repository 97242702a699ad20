"""`edgeseq train`."""

from pathlib import Path
from typing import Any, Literal

import click

from edgeseq.cli import kinds, options
from edgeseq.cli.progress import Bar
from edgeseq.families import FAMILIES, POSITIONS

_TUNING = {"task", "qat", "recipe", "steps", "accelerator", "resume", "run", "as_json"}
"""Parameters that fine-tuning takes; all others are settled by the run."""


@click.command(short_help="Train a model on a task.")
@click.argument("task", default="har", metavar="[TASK or RUN]")
@click.option(
    "--model",
    type=click.Choice(list(FAMILIES)),
    default="lstm",
    show_default=True,
    help="Model family.",
)
@click.option(
    "--params",
    type=kinds.COUNT,
    default="50k",
    show_default=True,
    help="Parameters at most; sizes the model.",
)
@click.option("--hidden", type=int, help="Recurrent layers: hidden units, instead of --params.")
@click.option("--projection", type=int, help="LSTM: values the hidden state is projected to.")
@click.option("--width", type=int, help="Attention: width, instead of --params.")
@click.option("--feed-forward", type=int, help="Attention: feed-forward units.")
@click.option("--layers", type=int, help="Layers or blocks.")
@click.option("--heads", type=int, help="Attention: heads.")
@click.option("--window", type=int, help="Attention: frames that a frame can see.")
@click.option(
    "--positions", type=click.Choice(POSITIONS), help="Attention: how it knows the order of frames."
)
@click.option(
    "--set",
    "others",
    multiple=True,
    type=kinds.SETTING,
    metavar="NAME=VALUE",
    help="Any other size of the family, as dropout=0.1 (repeatable).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides everything random.")
@click.option("--fold", type=int, default=0, show_default=True, help="Which split of the task.")
@click.option("--steps", type=int, help="Optimizer steps, instead of the task's default.")
@click.option(
    "--accelerator",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to train.",
)
@click.option("--resume", is_flag=True, help="Go on with the interrupted run of -o.")
@click.option("--qat", is_flag=True, help="Fine-tune the finished RUN for a recipe's rounding.")
@click.option(
    "--recipe", default="int8-dynamic", show_default=True, help="With --qat: by name, or a TOML."
)
@options.output(
    "run", "RUN", "Directory for the new run. With --qat RUN-qat by default.", required=False
)
@options.as_json
def train(
    task: str,
    model: str,
    params: int,
    seed: int,
    fold: int,
    steps: int | None,
    accelerator: str,
    resume: bool,
    qat: bool,
    recipe: str,
    run: Path | None,
    as_json: bool,
    others: tuple[tuple[str, Any], ...],
    **sizes: int | str | None,
) -> None:
    """Train a compact model on TASK (see edgeseq tasks, or the TOML of your own data).

    Seeded: the same command gives the same weights. Interrupted with ctrl-C, or killed, it goes
    on with --resume. The test score stands beside a trivial and a strong baseline.

    With --qat a finished RUN takes the place of TASK. Its weights learn a little longer, rounded
    as the recipe will round them, and become a new run to be exported and quantized as usual.

    \b
    edgeseq train har --model lstm --params 50k -o run
    edgeseq train my-data.toml --model transformer --params 20k -o run
    edgeseq train run --qat --recipe int4-weights
    """
    from edgeseq.extras import require

    _require_fitting(qat=qat)
    require("torch")
    from edgeseq.report.text import training_table
    from edgeseq.workflows import train as workflow

    where: Literal["cpu", "cuda"] = "cuda" if accelerator == "cuda" else "cpu"
    with Bar() as bar:

        def show(step: int, steps: int, loss: float, best: float | None) -> None:
            note = f"loss {loss:.3f}" + (f", validation {best:.2f}" if best is not None else "")
            bar.update(step, steps, note)

        if qat:
            tuning = workflow.TuneRequest(
                Path(task), recipe=recipe, steps=steps, resume=resume,
                accelerator=where if _typed("accelerator") else None,
            )  # fmt: skip
            bar.stage(f"fine-tuning {task} for {recipe}")
            report = workflow.fine_tune(tuning, run or tuning.default_out, progress=show)
        else:
            request = workflow.TrainRequest(
                task=task, model=model, params=params, seed=seed, fold=fold, steps=steps,
                accelerator=where, resume=resume,
                sizes=dict(others) | {k: size for k, size in sizes.items() if size is not None},
            )  # fmt: skip
            assert run is not None  # required without --qat
            bar.stage(f"training {model} on {task}")
            report = workflow.train(request, run, progress=show)
    options.show(report.to_json() if as_json else training_table(report))


def _typed(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _require_fitting(*, qat: bool) -> None:
    """Refuse what a training lacks, what a fine-tuning lacks, and what it takes from its run."""
    command = click.get_current_context().command
    if not qat and not _typed("run"):
        raise click.UsageError("Missing option '-o' / '--output'.")
    if not qat and _typed("recipe"):
        raise click.UsageError("--recipe is for --qat; or quantize a bundle: edgeseq quantize")
    if qat and not _typed("task"):
        raise click.UsageError("--qat needs the run to fine-tune: edgeseq train RUN --qat")
    for option in command.params:
        if qat and option.name not in _TUNING and _typed(option.name or ""):
            raise click.UsageError(f"{option.opts[0]} is the run's own; --qat cannot change it")
