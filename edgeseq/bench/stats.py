"""Percentiles of latencies, and ratios with intervals that survive a noisy machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeseq.bench.samples import pack, thin, unpack

PIECES = 40
"""Stretches of a run that a bootstrap draws from: its samples are not independent, these nearly."""


@dataclass(frozen=True)
class Latency:
    """The distribution of one candidate's step latencies, in microseconds."""

    count: int
    """Steps that were timed."""
    mean_us: float
    p50_us: float
    p50_low_us: float
    p50_high_us: float
    """Ends of the median's 95 % interval."""
    p90_us: float
    p95_us: float
    p99_us: float
    p99_low_us: float
    p99_high_us: float
    """Ends of the 99th percentile's 95 % interval."""
    p999_us: float
    min_us: float
    max_us: float
    samples: str
    """Steps in the order in which they ran, thinned and packed (`edgeseq.bench.samples`)."""

    @cached_property
    def samples_us(self) -> NDArray[np.float64]:
        """The kept samples in microseconds, in the order in which they ran."""
        return unpack(self.samples) / 1e3

    def quantiles_us(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the quantiles at `levels`, each between 0 and 1."""
        found: NDArray[np.float64] = np.quantile(self.samples_us, levels)
        return found


@dataclass(frozen=True)
class Ratio:
    """How many times slower `candidate` is than `reference` (below 1: faster)."""

    candidate: str
    reference: str
    ratio: float
    """Median over fresh sessions of the ratio of the two block medians of a round."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    confidence: float
    """Coverage that the interval aims at."""
    rounds: int
    """Pairs of blocks behind it."""
    sessions: int
    """Times that both were opened afresh: what the interval is about."""


def summarise(nanoseconds: NDArray[np.int64], *, seed: int = 0) -> Latency:
    """Summarise step times in their order, in nanoseconds; `ValueError` when there is none.

    Intervals: bootstrap over consecutive stretches of the run (Carlstein, 1986), percentile form,
    because a slow phase of the machine lasts longer than a step.
    """
    if not nanoseconds.size:
        raise ValueError("no samples")
    micro = nanoseconds / 1e3
    p50, p90, p95, p99, p999 = (
        _short(value) for value in np.quantile(micro, (0.5, 0.9, 0.95, 0.99, 0.999))
    )
    (p50_low, p50_high), (p99_low, p99_high) = _quantile_intervals(micro, (0.5, 0.99), seed)
    return Latency(
        count=int(micro.size),
        mean_us=_short(micro.mean()),
        p50_us=p50,
        p50_low_us=p50_low,
        p50_high_us=p50_high,
        p90_us=p90,
        p95_us=p95,
        p99_us=p99,
        p99_low_us=p99_low,
        p99_high_us=p99_high,
        p999_us=p999,
        min_us=_short(micro.min()),
        max_us=_short(micro.max()),
        samples=pack(thin(nanoseconds)),
    )


def _quantile_intervals(
    micro: NDArray[np.float64], levels: tuple[float, ...], seed: int, resamples: int = 200
) -> list[tuple[float, float]]:
    """Return the 95 % interval of the quantile at each level."""
    kept = micro[:: -(-len(micro) // 20_000)]  # more would take seconds and tell nothing
    pieces = min(PIECES, len(kept))
    cut = kept[: len(kept) // pieces * pieces].reshape(pieces, -1)  # (pieces, steps)
    draws = np.random.default_rng(seed).integers(pieces, size=(resamples, pieces))
    found = np.quantile(cut[draws].reshape(resamples, -1), levels, axis=1)  # (levels, resamples)
    return [
        (_short(low), _short(high))
        for low, high in zip(*np.quantile(found, (0.025, 0.975), axis=1), strict=True)
    ]


def compare(
    candidate: tuple[str, Sequence[Sequence[float]]],
    reference: tuple[str, Sequence[Sequence[float]]],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Ratio:
    """Compare two candidates by their block medians: of each fresh session, one a round.

    Both blocks of a round ran within moments of each other, so their ratio is free of the slow
    and fast phases of a shared machine. Where memory happens to lie makes two sessions of one
    file differ by 1 to 2 %, round after round (Mytkowicz et al., 2009, call it measurement bias);
    hence sessions are opened afresh, the median ratio of a session is one observation, and the
    bootstrap (Efron, 1979; percentile interval) draws whole sessions, never rounds or steps.
    """
    pairs = zip(candidate[1], reference[1], strict=True)
    ratios = np.array([np.median(np.divide(ours, theirs)) for ours, theirs in pairs])
    low, high = interval_of_median(ratios, confidence=confidence, resamples=resamples, seed=seed)
    return Ratio(
        candidate=candidate[0],
        reference=reference[0],
        ratio=round(float(np.median(ratios)), 4),
        low=round(low, 4),
        high=round(high, 4),
        confidence=confidence,
        rounds=sum(map(len, candidate[1])),
        sessions=len(ratios),
    )


def interval_of_median(
    values: NDArray[np.float64], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap interval of the median of independent `values`."""
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.median(values[draws], axis=1), (tail, 1 - tail))
    return float(low), float(high)


@dataclass(frozen=True)
class Spread:
    """What rounds of one measurement gave."""

    median: float
    low: float
    high: float
    """Ends of the median's 95 % interval (bootstrap over rounds)."""


def spread(values: ArrayLike, *, seed: int = 0) -> Spread:
    """Return the median of independent `values` and its interval, with four digits."""
    found = np.asarray(values, np.float64)
    numbers = (float(np.median(found)), *interval_of_median(found, seed=seed))
    return Spread(*(float(f"{number:.4g}") for number in numbers))


def t975(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t; beyond 30 degrees of freedom that of 30."""
    return _T975[min(max(freedom, 1), len(_T975)) - 1]


_T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def _short(value: float) -> float:
    """Keep nanoseconds: more digits of a microsecond are noise that bloats the file."""
    return round(float(value), 3)
