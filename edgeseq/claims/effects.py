"""How large an effect is, and how sure: people and seeds are different kinds of luck.

Trainings are paired: both sides share the split and the seed. Where a task has folds, its trainings
are folds times seeds, and the interval is that over folds: it speaks for other people, and has the
luck of seeds in it. A one-way analysis of variance keeps the two apart (Searle, Casella &
McCulloch, Variance Components, 1992, §3.6). Where there is one split, only seeds vary, and nothing
is said of other data.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeseq.bench.stats import t975
from edgeseq.claims.intervals import t80

Draw = tuple[int, int]
"""Fold and seed."""

Values = Mapping[Draw, float]
"""A number a training."""


@dataclass(frozen=True)
class Effect:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float
    smallest: float
    """Smallest true effect that would be seen four times out of five."""
    unit: str
    trainings: int
    folds: int
    seed_sd: float | None
    """Between seeds of one fold; none where no fold has two."""
    fold_sd: float | None
    """Between folds, the luck of seeds taken off; none where there is one."""

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.mean:+.1f} {self.unit} [{self.low:+.1f}, {self.high:+.1f}]"


def effect(values: Values, unit: str) -> Effect | None:
    """Estimate the mean of a number a training; none where there are fewer than two."""
    if len(values) < 2:
        return None
    folds = sorted({fold for fold, _ in values})
    groups = [np.array([v for (f, _), v in values.items() if f == fold]) for fold in folds]
    within = _within(groups)
    means = np.array([group.mean() for group in groups])
    clusters = means if len(folds) > 1 else groups[0]
    freedom = len(clusters) - 1
    error = float(clusters.std(ddof=1)) / math.sqrt(len(clusters))
    half = t975(freedom) * error
    mean = float(clusters.mean())
    return Effect(
        mean, mean - half, mean + half, half + t80(freedom) * error, unit, len(values), len(folds),
        None if within is None else math.sqrt(within), _between(means, groups, within),
    )  # fmt: skip


def difference(first: Values, second: Values, unit: str) -> Effect | None:
    """Estimate `first` minus `second` over the trainings that both have."""
    both = sorted(first.keys() & second.keys())
    return effect({draw: first[draw] - second[draw] for draw in both}, unit)


def _within(groups: Sequence[np.ndarray]) -> float | None:
    """Return the variance between seeds of one fold, pooled over folds."""
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return None
    return float(sum(((group - group.mean()) ** 2).sum() for group in groups) / freedom)


def _between(means: np.ndarray, groups: Sequence[np.ndarray], within: float | None) -> float | None:
    if len(means) < 2:
        return None
    seeds = len(groups) / sum(1 / len(group) for group in groups)  # harmonic mean
    return math.sqrt(max(0.0, float(means.var(ddof=1)) - (within or 0.0) / seeds))


def exponent(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return k of y ~ x^k by least squares of logarithms; none where there are fewer than two."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else None
