"""What one core can do at most: multiply so fast, move bytes so fast.

`python -m edgeseq.bench.roofline REQUEST` takes a JSON request and writes one JSON line.

The model is Williams, Waterman and Patterson's (2009, doi:10.1145/1498765.1498785): who makes I
operations with each byte that he moves does no more than min(peak, I x bandwidth) of them a second.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeseq.bench.bandwidth import Bandwidth, Cache, measure_bandwidths, read_caches
from edgeseq.bench.fresh import run_program
from edgeseq.bench.latency import pinned
from edgeseq.bench.products import Peak, measure_peaks, products
from edgeseq.errors import UsageError
from edgeseq.specs import parse

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""What keeps NumPy's products on one core; it has to be there when NumPy is imported."""


@dataclass(frozen=True)
class RooflineSettings:
    """How a machine is measured."""

    rounds: int = 15
    """Rounds; each times everything once."""
    products: tuple[int, ...] = (512, 1024)
    """Rows of the square matrices that are multiplied."""
    kib: tuple[int, ...] = (16, 64, 256, 1024, 4096, 16384, 65536, 262144)
    """Working sets that are moved, in KiB."""
    integers: bool = True
    """Multiply int8, too."""

    def __post_init__(self) -> None:
        """Refuse settings that time nothing."""
        if min((self.rounds, *self.products, *self.kib)) < 1 or not (self.products and self.kib):
            raise UsageError("rounds, products and working sets must be at least 1")


@dataclass(frozen=True)
class Roofline:
    """What one core can do at most."""

    peaks: tuple[Peak, ...]
    bandwidths: tuple[Bandwidth, ...]
    """By working set, the smallest first."""
    caches: tuple[Cache, ...]

    def peak(self, dtype: str = "float32") -> Peak:
        """Return the product that reached most; raise `KeyError` where none was measured."""
        own = [peak for peak in self.peaks if peak.dtype == dtype]
        if not own:
            raise KeyError(dtype)
        return max(own, key=lambda peak: peak.gflops.median)

    @property
    def levels(self) -> tuple[str, ...]:
        """Caches, and memory, that some working set was in."""
        return tuple(dict.fromkeys(found.level for found in self.bandwidths))

    def bandwidth(self, level: str) -> float:
        """Return the 10⁹ bytes a second of a level: of the largest working set that is in it."""
        own = {found.level: found for found in self.bandwidths}
        return own[level].best

    def attainable(self, intensity: float, level: str) -> float:
        """Return the 10⁹ operations a second that so many operations a byte allow at most."""
        return min(self.peak().gflops.median, intensity * self.bandwidth(level))

    def knee(self, level: str) -> float:
        """Return the operations a byte from which on `level` no longer limits."""
        return self.peak().gflops.median / self.bandwidth(level)


def measure_roofline(
    settings: RooflineSettings | None = None, *, clock: Callable[[], int] = time.perf_counter_ns
) -> Roofline:
    """Measure on the core and with the threads that this process has."""
    settings = settings or RooflineSettings()
    caches = read_caches()
    return Roofline(
        measure_peaks(
            products(settings.products, integers=settings.integers), settings.rounds, clock
        ),
        measure_bandwidths(sorted(settings.kib), settings.rounds, caches=caches, clock=clock),
        caches,
    )


def measure_core(settings: RooflineSettings | None = None, core: int | None = None) -> Roofline:
    """Measure in a fresh process that has one thread and stays on `core`.

    Raises:
        EdgeseqError: the process failed; with its last words.
    """
    request = {"settings": dataclasses.asdict(settings or RooflineSettings()), "core": core}
    what = "a fresh process could not measure this core"
    report = run_program("edgeseq.bench.roofline", request, what, environment=ONE_THREAD)
    return parse(report, Roofline, where="roofline")


def last_core() -> int | None:
    """Return the last core that this process may use, the quietest as a rule; none: unknown."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Measure as the request says."""
    settings = parse(request["settings"], RooflineSettings, where="request")
    with pinned(request["core"]):
        return dataclasses.asdict(measure_roofline(settings))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
