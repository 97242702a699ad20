"""What share of the machine's peak a model reaches, and how often it multiplies for each byte.

Operations are those that the graph really multiplies and adds, two for each multiply-accumulate;
what a mask throws away afterwards was multiplied all the same. Bytes are a lower bound: every
weight, state, frame and result of a product moves once.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeseq.bench.products import Product
from edgeseq.bench.stats import Spread, spread
from edgeseq.contract import Contract
from edgeseq.extras import require
from edgeseq.graph.macs import multiplications

if TYPE_CHECKING:
    from onnx import ModelProto

_VALUE = 4
"""Bytes of a value between two operators."""


@dataclass(frozen=True)
class Work:
    """What one call has to do."""

    flops: int
    """Multiplications and additions in products of matrices."""
    bytes: int
    """What has to move, at least."""

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / self.bytes


@dataclass(frozen=True)
class Achieved:
    """How a call stands to the machine's peak."""

    work: Work
    seconds: Spread
    """Of one call."""
    gflops: Spread
    peak_gflops: Spread
    """Of the product that took turns with it."""
    share: Spread
    """Of that peak, round by round; 0 to 1."""
    rounds: int


def graph_work(model: "ModelProto", contract: Contract) -> Work | None:
    """Return the work of one call of a graph whose streams and frames are fixed; none: unknown.

    Attention over a ring counts as if the ring were full; see `edgeseq.graph.macs`.
    """
    found = multiplications(model)
    if found is None or contract.streams is None or contract.chunk_max is None:
        return None
    weights = sum(_size(item) for item in model.graph.initializer)
    given = contract.streams * contract.chunk_max * contract.frame.size * _VALUE
    states = contract.streams * contract.state_bytes  # what it becomes is among the results
    results = _VALUE * sum(item.values for item in found)
    flops = 2 * sum(item.macs for item in found)
    return Work(flops, weights + states + given + results)


def measure_achieved(
    call: Callable[[], object],
    work: Work,
    product: Product,
    *,
    rounds: int = 15,
    block_s: float = 0.05,
    most_s: float = 30.0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Achieved:
    """Time `call` and the product that shows the peak in turns; see `time_in_turns`."""
    runs = {"call": call, "product": product.run}
    times = time_in_turns(runs, rounds=rounds, block_s=block_s, most_s=most_s, clock=clock)
    took, peak_took = (np.array(times[name]) for name in runs)
    rates, peaks = work.flops / took / 1e9, product.operations / peak_took / 1e9
    return Achieved(
        work=work,
        seconds=spread(took),
        gflops=spread(rates),
        peak_gflops=spread(peaks),
        share=spread(rates / peaks),
        rounds=len(took),
    )


def time_in_turns(
    runs: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    block_s: float = 0.05,
    most_s: float = 30.0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, list[float]]:
    """Return the seconds that a run of each takes, one value a round, all in turns.

    In its turn each runs once untimed, then as often as `block_s` holds. Not all of the `rounds`
    are made where they last longer than `most_s`, but three are, if so many were asked for.
    """
    counts, begin = _counts(runs, block_s, clock), clock()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for done in range(rounds):
        if done >= 3 and clock() - begin > most_s * 1e9:
            break
        for name, run in runs.items():
            run()
            start = clock()
            for _ in range(counts[name]):
                run()
            times[name].append((clock() - start) / counts[name] / 1e9)
    return times


def _counts(
    runs: Mapping[str, Callable[[], object]], block_s: float, clock: Callable[[], int]
) -> dict[str, int]:
    """Return how often each runs in a turn, by its second run: the first one warms up."""
    counts = {}
    for name, run in runs.items():
        run()
        start = clock()
        run()
        counts[name] = max(1, round(block_s * 1e9 / max(clock() - start, 1)))
    return counts


def _size(initializer: object) -> int:
    """Return the bytes of a weight; numbers that are integers count nothing but positions."""
    array = require("onnx").numpy_helper.to_array(initializer)
    return 0 if array.dtype == np.int64 else math.prod(array.shape) * array.itemsize
