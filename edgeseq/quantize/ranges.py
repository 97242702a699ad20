"""Which range of values eight bits should cover: streaming histograms, and four ways to read one.

The range always covers zero, so that zero is exact. A wider range clips less and rounds more.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["minmax", "percentile", "entropy", "mse"]

LEVELS = 256
"""Values of a byte."""
BINS = 4096
"""Most bins of a histogram: 8 to 16 of them make one level of the widest range."""
_SHRINK = 0.9
_COARSE = 48
"""`mse` tries ranges down to `0.9 ** 47`, 0.7 %, of what was seen, either end alone …"""
_FINE = 4
"""… and then halves the distance to the neighbours as many times."""
_TRIALS = 256
"""Thresholds that `entropy` tries at most."""
_SMOOTHED = 1e-4
"""Count that stands for none where the divergence of two histograms needs some."""


@dataclass(frozen=True)
class Range:
    """The values that eight bits cover; what lies outside is clipped to its ends."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse ranges that do not cover zero."""
        if not (-math.inf < self.low <= 0 <= self.high < math.inf):
            raise ValueError(f"{self.low} to {self.high} is no finite range around zero")

    @property
    def affine(self) -> tuple[np.float32, np.uint8]:
        """Scale and zero point of `value = scale * (byte - zero_point)`.

        Of a range without extent ONNX Runtime's tool makes scale 1 and zero point 0; so does this.
        """
        scale = (self.high - self.low) / (LEVELS - 1)
        if scale < np.finfo(np.float32).tiny:
            return np.float32(1), np.uint8(0)
        return np.float32(scale), np.uint8(np.clip(np.rint(-self.low / scale), 0, LEVELS - 1))

    def rounded(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return what bytes make of `values`, in real units again."""
        scale, zero = (float(number) for number in self.affine)
        bytes_ = np.clip(np.rint(np.asarray(values, np.float64) / scale) + zero, 0, LEVELS - 1)
        return np.asarray(scale * (bytes_ - zero), np.float64)


class Histogram:
    """Counts of values seen so far, in bounded memory.

    Bins are a power of two wide and begin at multiples of it, so that two merge into one exactly:
    what was counted does not depend on the order of the values or how they were cut into batches.
    """

    __slots__ = ("_bins", "_exponent", "counts", "first", "high", "low", "total", "zeros")

    def __init__(self, bins: int = BINS) -> None:
        self._bins, self._exponent = bins, -math.inf
        self.counts: NDArray[np.int64] = np.zeros(1, np.int64)
        """Values other than zero by bin; there is always one that begins at zero."""
        self.first = 0
        """Number of the first bin; bin `i` begins at `i * width`."""
        self.low = self.high = 0.0
        """Smallest and largest value, or zero."""
        self.total = self.zeros = 0
        """How many values were seen, and how many of them were exactly zero."""

    @property
    def width(self) -> float:
        """Width of a bin; zero as long as nothing but zeros was seen."""
        return float(2.0**self._exponent)

    @property
    def centres(self) -> NDArray[np.float64]:
        """The value that stands for each bin."""
        numbers = np.arange(self.first, self.first + len(self.counts), dtype=np.float64)
        return (numbers + 0.5) * self.width

    @property
    def with_zeros(self) -> NDArray[np.int64]:
        """Counts of all values."""
        counts = self.counts.copy()
        counts[-self.first] += self.zeros
        return counts

    def add(self, values: NDArray[Any]) -> None:
        """Count `values`, of any shape; raise `ValueError` where one is not finite."""
        flat = np.asarray(values, np.float64).ravel()
        if not np.isfinite(flat).all():
            raise ValueError("a value is not finite")
        self.total += flat.size
        flat = flat[flat != 0]
        self.zeros = self.zeros + np.asarray(values).size - flat.size
        if not flat.size:
            return
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        self._widen(_exponent(self.low, self.high, self._bins))
        numbers = np.floor(flat / self.width).astype(np.int64) - self.first
        self.counts += np.bincount(numbers, minlength=len(self.counts))

    def _widen(self, exponent: int) -> None:
        """Make bins `2 ** exponent` wide, and as many as the values need."""
        numbers = np.arange(self.first, self.first + len(self.counts))
        if exponent > self._exponent and self.counts.any():
            numbers >>= int(exponent - self._exponent)
        self._exponent = max(exponent, self._exponent)
        first = math.floor(self.low / self.width)
        counts = np.zeros(math.floor(self.high / self.width) - first + 1, np.int64)
        np.add.at(counts, numbers - first, self.counts)
        self.first, self.counts = first, counts


def _exponent(low: float, high: float, bins: int) -> int:
    """Return that of the narrowest bins of which `bins` reach from `low` to `high`."""
    exponent = math.frexp((high - low) / bins)[1] - 2
    while math.floor(high / 2.0**exponent) - math.floor(low / 2.0**exponent) >= bins:
        exponent += 1
    return exponent


def find_range(histogram: Histogram, method: Method, percentile: float = 99.99) -> Range:
    """Choose the range that eight bits shall cover.

    Args:
        histogram: the values that were seen.
        method: `minmax`: all of them. `percentile`: the middle `percentile` per cent of them.
            `entropy`: between the thresholds that keep most of the distribution, by its divergence
            from the rounded one (Kullback-Leibler; Migacz, "8-bit Inference with TensorRT", GTC
            2017; as in ONNX Runtime's calibration). `mse`: least mean squared error.
        percentile: only of `percentile`.
    """
    if not histogram.total:
        raise ValueError("no value was seen")
    if method == "minmax" or not histogram.counts.any():
        return Range(histogram.low, histogram.high)
    if method == "percentile":
        return _percentile(histogram, percentile)
    return _entropy(histogram) if method == "entropy" else _mse(histogram)


def _within(histogram: Histogram, start: int, end: int) -> Range:
    """Return the range of the bins `start` to `end - 1`, no wider than the values."""
    low, high = ((histogram.first + number) * histogram.width for number in (start, end))
    return Range(min(max(low, histogram.low), 0.0), max(min(high, histogram.high), 0.0))


def _percentile(histogram: Histogram, percentile: float) -> Range:
    below = np.cumsum(histogram.with_zeros)
    cut = histogram.total * (100 - percentile) / 200
    start = int(np.searchsorted(below, cut, side="right"))
    end = int(np.searchsorted(below, histogram.total - cut)) + 1
    return _within(histogram, start, end)


def _entropy(histogram: Histogram) -> Range:
    """Cut both tails at the same distance from zero, wherever the divergence is least.

    Zeros are left out: they are exact in any range, and the many that a ReLU makes would share
    their level's count with their neighbours, which costs so much that narrow ranges win.
    """
    counts = histogram.counts.astype(np.float64)
    zero, size = -histogram.first, len(counts)
    farthest = max(zero, size - zero)
    reaches = range(farthest, LEVELS // 2, -max(1, farthest // _TRIALS))
    windows = [(max(0, zero - reach), min(size, zero + reach)) for reach in reaches]
    windows = [window for window in windows if window[1] - window[0] >= LEVELS] or [(0, size)]
    return _within(histogram, *min(windows, key=lambda window: _divergence(counts, *window)))


def _divergence(counts: NDArray[np.float64], start: int, end: int) -> float:
    """Return the Kullback-Leibler divergence of clipped counts from clipped and rounded ones."""
    inside = counts[start:end]
    clipped = inside.copy()
    clipped[0] += counts[:start].sum()
    clipped[-1] += counts[end:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    used = clipped > 0
    shares = np.bincount(level, inside) / np.maximum(np.bincount(level, used), 1)
    rounded = np.where(used, shares[level], 0.0)
    p, q = _smoothed(clipped), _smoothed(rounded)
    return float(np.sum(p * np.log(p / q)))


def _smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares none of which is zero."""
    shares = np.maximum(counts, _SMOOTHED)
    return np.asarray(shares / shares.sum(), np.float64)


def _mse(histogram: Histogram) -> Range:
    """Search both ends at once, coarsely in equal ratios, then ever finer around the best."""
    kept = histogram.counts > 0
    counts, centres = histogram.counts[kept].astype(np.float64), histogram.centres[kept]

    def error(candidate: Range) -> float:
        return float(counts @ (candidate.rounded(centres) - centres) ** 2)

    grid = [_SHRINK**power for power in range(_COARSE)]
    best = min(_candidates(histogram, grid, grid), key=error)
    ratio = _SHRINK
    for _ in range(_FINE):
        ratio **= 0.5
        near = (1 / ratio, 1.0, ratio)
        lows = [share * best.low / (histogram.low or 1) for share in near]
        highs = [share * best.high / (histogram.high or 1) for share in near]
        best = min(_candidates(histogram, lows, highs), key=error)
    return best


def _candidates(histogram: Histogram, lows: list[float], highs: list[float]) -> Iterator[Range]:
    """Yield ranges whose ends are shares of what was seen; an end at zero stays there."""
    for low in lows if histogram.low else [1.0]:
        for high in highs if histogram.high else [1.0]:
            yield Range(min(low, 1.0) * histogram.low, min(high, 1.0) * histogram.high)
