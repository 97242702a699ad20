"""`edgeseq claims`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from edgeseq.claims import CLAIMS, Budget
from edgeseq.cli import options
from edgeseq.cli.progress import Bar
from edgeseq.errors import UsageError

if TYPE_CHECKING:
    from edgeseq.workflows.claims.cluster import Cluster
    from edgeseq.workflows.claims.run import State


@click.command(short_help="Test what is said of small LSTMs and Transformers.")
@click.argument("claims", nargs=-1, metavar="[CLAIM]...", type=click.Choice(CLAIMS))
@options.output("out", "DIR", "Directory for cells, runs, verdicts.json and the report.")
@click.option(
    "--budget",
    type=click.Choice(get_args(Budget)),
    default="10m",
    show_default=True,
    help="How much is measured: minutes on two cores, or all that was declared (hours).",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    help="End after so long; the same command goes on. Default: 10, 60, or 40 where it is full.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Cells at a time.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where cells run: processes here, or a Ray cluster; with the same results.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Head of the Ray cluster that this machine is a node of; else one is started here.",
)
@click.option("--cell", metavar="KEY", help="Measure this one cell again, and print it.")
@click.option("--declare", is_flag=True, help="Print what is declared, and run nothing.")
@options.as_json
def claims(
    claims: tuple[str, ...],
    out: Path,
    budget: Budget,
    minutes: float | None,
    workers: int,
    engine: str,
    address: str | None,
    cell: str | None,
    declare: bool,
    as_json: bool,
) -> None:
    """Test the sentences about LSTM and Transformer: all of them, or each CLAIM.

    What is measured and by which rule it is judged is printed before anything runs. Every cell is
    kept when it is done; interrupted, the same command goes on, here or wherever DIR/cells is.

    \b
    edgeseq claims --budget 10m -o claims
    edgeseq claims order gru --budget full -o claims
    edgeseq claims --budget full --engine ray --address 10.0.0.1:6379 -o claims
    """
    from edgeseq.extras import require

    if address and engine != "ray":
        raise UsageError("--address is of a Ray cluster; add --engine ray")
    for module in ("torch", "onnx", "onnxruntime"):
        require(module)
    from edgeseq.claims.summary import summarise
    from edgeseq.report.claims import declarations, leave, verdicts
    from edgeseq.workflows.claims.run import measure_again, measure_claims, open_run

    run = open_run(claims or CLAIMS, budget, out)
    declared = [claim.declaration(run.scale) for claim in run.claims]
    if cell:
        options.show(measure_again(run, cell, out))
        return
    if declare:
        options.show(declared if as_json else declarations(declared))
        return
    if not as_json:
        options.show(declarations(declared))
    with Bar() as bar, _engine(address, workers) if engine == "ray" else nullcontext() as cluster:
        bar.stage("claims")
        complete = measure_claims(
            run, out, engine=cluster, workers=workers, minutes=minutes,
            progress=lambda state: _tell(bar, state),
        )  # fmt: skip
    summary = summarise(run.claims, run.scale, run.store)
    leave(summary, out)
    options.show(summary.to_json() if as_json else verdicts(summary, out))
    if not complete:
        click.echo("Not everything is measured yet; the same command goes on", err=True)


def _engine(address: str | None, workers: int) -> "Cluster":
    from edgeseq.workflows.claims.cluster import Cluster

    return Cluster(address, workers)


def _tell(bar: Bar, state: "State") -> None:
    note = str(state.last.cell) if state.last else ""
    if state.left_s is not None:
        minutes = round(state.left_s / 60)
        note = f"{minutes // 60} h {minutes % 60:02d} min left  {note}"
    bar.update(state.done, state.total, note)
