"""What the cells that measure have in common: one core, the conditions, and numbers as lists."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edgeseq.bench.conditions import Watch
from edgeseq.bench.latency import pinned
from edgeseq.bench.roofline import last_core
from edgeseq.bench.stats import Latency, Ratio, Spread
from edgeseq.errors import ProviderError

Settings = Mapping[str, Any]
Result = dict[str, Any]

NOT_MEASURED = "not measured"
"""Key of the reason, where a cell could not be measured."""
NO_CUDA = "no CUDA device"


@contextmanager
def conditions(result: Result) -> Iterator[int | None]:
    """Stay on one core inside the block, yield it, and note in `result` what else went on."""
    watch, core = Watch(), last_core()
    with pinned(core):
        yield core
    found = watch.read(core)
    result["conditions"] = {
        "core": core,
        "seconds": found.seconds,
        "load": found.load_before,
        "load_after": found.load_after,
        "stolen": found.stolen,
        "preempted": found.preempted,
    }


def without(error: ProviderError) -> Result:
    """Return the result of a cell whose accelerator is not there."""
    return {NOT_MEASURED: f"{NO_CUDA}: {str(error).splitlines()[0]}"}


def interval(found: Spread | Latency | Ratio, digits: int = 4) -> list[float]:
    """Return median, lower and upper end: seconds, µs, or times as long."""
    if isinstance(found, Latency):
        numbers = found.p50_us, found.p50_low_us, found.p50_high_us
    elif isinstance(found, Ratio):
        numbers = found.ratio, found.low, found.high
    else:
        numbers = found.median, found.low, found.high
    return [float(f"{number:.{digits}g}") for number in numbers]


def scaled(found: Spread, factor: float) -> list[float]:
    """Return `interval` times `factor`."""
    return [float(f"{number * factor:.4g}") for number in interval(found)]
