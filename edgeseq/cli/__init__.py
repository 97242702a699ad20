"""The command line: one module a verb; parses, calls one function, renders.

The only place that prints or exits. Command modules import what they need when they run, so that
`edgeseq --help` loads neither torch nor ONNX Runtime.
"""

import click

from edgeseq import __version__
from edgeseq.cli.advise import advise
from edgeseq.cli.app import App
from edgeseq.cli.bench import bench
from edgeseq.cli.check import check
from edgeseq.cli.claims import claims
from edgeseq.cli.compare import compare
from edgeseq.cli.demo import demo
from edgeseq.cli.devices import devices
from edgeseq.cli.explain import explain
from edgeseq.cli.export import export
from edgeseq.cli.inspect import inspect
from edgeseq.cli.quantize import quantize
from edgeseq.cli.report import report
from edgeseq.cli.run import run
from edgeseq.cli.tasks import tasks
from edgeseq.cli.train import train

__all__ = ["main"]


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgeseq")
def main() -> None:
    """Small sequence models on devices: train, export, quantize, prove, benchmark, ship.

    \b
    Everything at once, on real data:
        edgeseq demo -o demo
    Step by step:
        edgeseq train har --model lstm --params 50k -o run
        edgeseq export run -o bundle
        edgeseq quantize bundle --recipe int8-dynamic
        edgeseq check bundle
        edgeseq run bundle recording.csv
        edgeseq bench bundle
    """


for command in (
    tasks, train, export, quantize, check, run, explain, bench, compare, report, inspect, devices,
    demo, claims, advise,
):  # fmt: skip
    main.add_command(command)
