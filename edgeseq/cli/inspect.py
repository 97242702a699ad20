"""`edgeseq inspect`."""

from pathlib import Path

import click

from edgeseq.cli import options


@click.command(short_help="Show what is inside any ONNX file.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.onnx")
@options.as_json
def inspect(file: Path, as_json: bool) -> None:
    """Show inputs, outputs, state pairs, operators and what is int8 of any ONNX file.

    And which of its nodes answer differently on different CPUs.
    """
    from edgeseq.graph.inspect import inspect_model
    from edgeseq.report.inspect import inspection_text

    inspection = inspect_model(file)
    options.show(inspection.to_json() if as_json else inspection_text(inspection))
