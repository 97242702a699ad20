"""`edgeseq train`."""

from pathlib import Path

import click

from edgeseq.cli import kinds, options
from edgeseq.cli.progress import Bar


@click.command(short_help="Train an LSTM, a GRU or a Transformer on a task.")
@click.argument("task", default="har")
@click.option(
    "--model",
    type=click.Choice(["lstm", "gru", "transformer"]),
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
@click.option("--hidden", type=int, help="LSTM, GRU: hidden units, instead of --params.")
@click.option("--width", type=int, help="Transformer: width, instead of --params.")
@click.option("--feed-forward", type=int, help="Transformer: feed-forward units.")
@click.option("--layers", type=int, help="Layers or blocks.")
@click.option("--heads", type=int, help="Transformer: attention heads.")
@click.option("--window", type=int, help="Transformer: frames that a frame can see.")
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
@click.option("--resume", is_flag=True, help="Go on with the interrupted run in RUN.")
@options.output("run", "RUN", "Directory for the checkpoint.")
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
    run: Path,
    as_json: bool,
    **sizes: int | None,
) -> None:
    """Train a compact model on TASK (har, glucose, or the TOML of your own data).

    Seeded: the same command gives the same weights. Interrupted with ctrl-C, or killed, it goes
    on with --resume. The test score stands beside a trivial and a strong baseline.

    \b
    edgeseq train har --model lstm --params 50k -o run
    edgeseq train my-data.toml --model transformer --params 20k -o run
    """
    from edgeseq.extras import require

    require("torch")
    from edgeseq.report.text import training_table
    from edgeseq.workflows.train import TrainRequest, train

    request = TrainRequest(
        task=task, model=model, params=params, seed=seed, fold=fold, steps=steps,
        accelerator="cuda" if accelerator == "cuda" else "cpu", resume=resume,
        sizes={name: size for name, size in sizes.items() if size is not None},
    )  # fmt: skip
    with Bar() as bar:
        bar.stage(f"training {model} on {task}")

        def show(step: int, steps: int, loss: float, best: float | None) -> None:
            note = f"loss {loss:.3f}" + (f", validation {best:.1f}" if best is not None else "")
            bar.update(step, steps, note)

        report = train(request, run, progress=show)
    options.show(report.to_json() if as_json else training_table(report))
