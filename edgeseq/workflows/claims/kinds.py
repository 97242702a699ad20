"""What a cell's kind does: a function from settings to a result, by name, loaded where it runs."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.errors import EdgeseqError


@dataclass(frozen=True)
class Work:
    """Where the function of a kind is."""

    module: str
    """Below `edgeseq.workflows.claims`."""
    function: str
    alone: bool = False
    """It takes times: nothing else of ours may run meanwhile, and it is not sent elsewhere."""


KINDS: Mapping[str, Work] = {
    "train": Work("training", "train"),
    "tune": Work("training", "tune"),
    "quantized": Work("training", "quantized"),
    "explain": Work("explaining", "explained"),
    "roofline": Work("machine", "roofline", alone=True),
    "achieved": Work("machine", "achieved", alone=True),
    "train-speed": Work("machine", "train_speed", alone=True),
    "latency": Work("streaming", "latency", alone=True),
    "memory": Work("streaming", "memory", alone=True),
    "edge": Work("streaming", "edge", alone=True),
}


def measure(cell: Cell, folder: Path) -> Outcome:
    """Run a cell in this process; what edgeseq can name is its result, too.

    Args:
        cell: what to do.
        folder: for runs that other cells may want.
    """
    work = KINDS[cell.kind]
    begin = time.perf_counter()
    try:
        function = getattr(import_module(f"edgeseq.workflows.claims.{work.module}"), work.function)
        if work.alone:
            with TemporaryDirectory() as scratch:
                result = function(cell.settings, Path(scratch))
        else:
            result = function(cell.settings, folder)
    except EdgeseqError as error:
        result = {"failed": str(error)}
    return Outcome(cell, result, time.perf_counter() - begin)


Measure = Callable[[Cell, Path], Outcome]
"""As `measure` does, or in its stead; workers import it by name."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of a worker, whichever library it loads: sums in the same order, so the same bits."""


def prepare() -> None:
    """Keep a worker process to one thread; before it loads any of them."""
    os.environ.update(ONE_THREAD)
