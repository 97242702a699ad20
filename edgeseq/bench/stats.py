"""Percentiles of latencies, and ratios with intervals that survive a noisy machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRID = 200
"""Points of a stored latency distribution."""


@dataclass(frozen=True)
class Latency:
    """The distribution of one candidate's step latencies, in microseconds."""

    count: int
    """Steps that were timed."""
    mean_us: float
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    min_us: float
    max_us: float
    grid_us: tuple[float, ...]
    """Quantiles at `grid_levels()`, for drawing the distribution."""


@dataclass(frozen=True)
class Ratio:
    """How many times slower `candidate` is than `reference` (below 1: faster)."""

    candidate: str
    reference: str
    ratio: float
    """Median over rounds of the ratio of the two block medians of a round."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    confidence: float
    """Coverage that the interval aims at."""
    rounds: int
    """Pairs of blocks behind it."""


def grid_levels() -> NDArray[np.float64]:
    """Return the levels of `Latency.grid_us`: mid-points, so that no level is 0 or 1."""
    return (np.arange(GRID) + 0.5) / GRID


def summarise(nanoseconds: NDArray[np.int64]) -> Latency:
    """Summarise step times in nanoseconds; raise `ValueError` when there is none."""
    if not nanoseconds.size:
        raise ValueError("no samples")
    micro = nanoseconds / 1e3
    p50, p90, p99, p999 = np.quantile(micro, (0.5, 0.9, 0.99, 0.999))
    return Latency(
        count=int(micro.size),
        mean_us=_short(micro.mean()),
        p50_us=_short(p50),
        p90_us=_short(p90),
        p99_us=_short(p99),
        p999_us=_short(p999),
        min_us=_short(micro.min()),
        max_us=_short(micro.max()),
        grid_us=tuple(_short(value) for value in np.quantile(micro, grid_levels())),
    )


def compare(
    candidate: tuple[str, Sequence[float]],
    reference: tuple[str, Sequence[float]],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Ratio:
    """Compare two candidates by their block medians, one a round, in the order of the rounds.

    Both blocks of a round ran within moments of each other, so their ratio is free of the slow
    and fast phases of a shared machine. Steps inside a block depend on each other; hence the
    bootstrap (Efron, 1979; percentile interval) draws whole rounds, never single steps.
    The interval covers noise in time. It does not cover where memory happened to lie: two
    sessions of one file differ by 1 to 2 %, round after round, so less than that means nothing.
    """
    ratios = np.asarray(candidate[1], np.float64) / np.asarray(reference[1], np.float64)
    draws = np.random.default_rng(seed).integers(len(ratios), size=(resamples, len(ratios)))
    medians = np.median(ratios[draws], axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    return Ratio(
        candidate=candidate[0],
        reference=reference[0],
        ratio=round(float(np.median(ratios)), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        confidence=confidence,
        rounds=len(ratios),
    )


def _short(value: float) -> float:
    """Keep nanoseconds: more digits of a microsecond are noise that bloats the file."""
    return round(float(value), 3)
