"""What idling costs: the longer the pause before a step, the colder it finds the machine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeseq.bench.candidate import Candidate, Progress
from edgeseq.bench.latency import pinned, turns

GAPS_MS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
WARM = 50
"""Steps of a fresh session before its first pause."""


@dataclass(frozen=True)
class IdleGap:
    """Latency of the step after a pause."""

    gap_ms: float
    p50_us: float
    p90_us: float
    count: int
    """Pauses behind the figures."""


def measure_gaps(
    candidates: Sequence[Candidate],
    *,
    gaps_ms: Sequence[float] = GAPS_MS,
    repeats: int = 20,
    pin: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    now: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> dict[str, tuple[IdleGap, ...]]:
    """Time one step after each pause, the candidates in turns, the pauses in random order.

    Before every pause the same candidate steps once, so that only the pause is new to it.
    """
    names = {candidate.name: candidate for candidate in candidates}
    rows = {name: list(np.ascontiguousarray(one.frames)) for name, one in names.items()}
    times: dict[str, dict[float, list[int]]] = {
        name: {gap: [] for gap in gaps_ms} for name in names
    }
    rng = np.random.default_rng(seed)
    with pinned(pin):
        for repeat, order in enumerate(turns(tuple(names), repeats, seed)):
            for name in order:
                with names[name].open() as stepper:
                    for row in rows[name][:WARM]:
                        stepper.step(row)
                    for gap in rng.permutation(list(gaps_ms)):
                        row = rows[name][repeat % len(rows[name])]
                        stepper.step(row)
                        if gap:
                            sleep(gap / 1e3)
                        begin = now()
                        stepper.step(row)
                        times[name][float(gap)].append(now() - begin)
            if progress:
                progress(repeat + 1, repeats)
    return {
        name: tuple(_gap(gap, found) for gap, found in sorted(by_gap.items()))
        for name, by_gap in times.items()
    }


def _gap(gap_ms: float, nanoseconds: list[int]) -> IdleGap:
    p50, p90 = np.quantile(np.asarray(nanoseconds) / 1e3, (0.5, 0.9))
    return IdleGap(gap_ms, round(float(p50), 3), round(float(p90), 3), len(nanoseconds))
