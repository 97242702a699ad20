"""Where warming up ends: found in the measured times themselves, not guessed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 25
"""Steps behind one median; a spike must not look like warming up."""
FEWEST, MOST = 40, 400
"""Blocks: as many are always run, and after so many the search is given up."""


@dataclass(frozen=True)
class Warmup:
    """How long it took until steps were as fast as they stay."""

    steps: int
    """Steps that were slower than those after them."""
    discarded: int
    """Steps that ran before the first one that counts: at least twice as many."""
    settled: bool
    """Whether steps had stopped getting faster when the search ended."""
    first_us: float
    """The very first step."""


def warm_up(run: Callable[[int], NDArray[np.int64]]) -> Warmup:
    """Run blocks of steps until they are steady; `run` runs n steps and returns ns `(n,)`.

    Steady: the truncation that leaves the smallest standard error of the mean (MSER: White, 1997)
    lies in the first half of the blocks. The block medians are truncated, not the steps.
    """
    medians: list[float] = []
    first_ns, found = 0, 0
    while len(medians) < MOST:
        times = run(BLOCK)
        first_ns = first_ns or int(times[0])
        medians.append(float(np.median(times)))
        if len(medians) >= FEWEST and (found := truncation(medians)) <= len(medians) // 2:
            break
    return Warmup(
        steps=found * BLOCK,
        discarded=len(medians) * BLOCK,
        settled=found <= len(medians) // 2,
        first_us=round(first_ns / 1e3, 3),
    )


def truncation(values: Sequence[float]) -> int:
    """Return how many leading `values` to drop for the smallest standard error of the rest.

    The fewest with which it is within a tenth of the smallest: noise alone moves it by as much.
    """
    series = np.asarray(values, np.float64)
    # The last few alone can be equal by chance, which would look like the best end of all.
    starts = range(max(1, len(series) - 4))
    errors = [series[start:].std() / np.sqrt(len(series) - start) for start in starts]
    return next(start for start in starts if errors[start] <= 1.1 * min(errors))
