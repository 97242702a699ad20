"""How sure a difference between two models is when only a few people were recorded."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeseq.bench.stats import t975

# Student's t: the 80 % quantile for 1, 2, 3 … degrees of freedom. Beyond the table its last
# entry is used, which errs on the side of doubt.
_T80 = (
    1.376, 1.061, 0.978, 0.941, 0.920, 0.906, 0.896, 0.889, 0.883, 0.879,
    0.876, 0.873, 0.870, 0.868, 0.866, 0.865, 0.863, 0.862, 0.861, 0.860,
    0.859, 0.858, 0.858, 0.857, 0.856, 0.856, 0.855, 0.855, 0.854, 0.854,
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """The scores of two models on the same recording."""

    subject: str
    count: int
    """Windows or frames behind both scores."""
    first: float
    second: float


@dataclass(frozen=True)
class Difference:
    """`first` minus `second`, with what could have been seen at all."""

    mean: float
    low: float
    high: float
    """95 % interval."""
    smallest: float
    """Smallest true difference that would be seen four times out of five."""
    clusters: int
    """Independent groups behind the interval."""
    unit: str
    """What a group is: `subjects`, `recordings`."""

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self.low, self.high


def by_recording(pairs: Sequence[Pair]) -> Difference | None:
    """Compare on these people: what other recordings of the same subjects would show."""
    return _difference([(pair.count, pair.first - pair.second) for pair in pairs], "recordings")


def by_subject(pairs: Sequence[Pair]) -> Difference | None:
    """Compare for people in general: each subject is one observation, however often recorded."""
    sums: dict[str, tuple[int, float]] = {}
    for pair in pairs:
        count, total = sums.get(pair.subject, (0, 0.0))
        gained = pair.count * (pair.first - pair.second)
        sums[pair.subject] = count + pair.count, total + gained
    return _difference([(count, total / count) for count, total in sums.values()], "subjects")


def _difference(clusters: Iterable[tuple[int, float]], unit: str) -> Difference | None:
    """Estimate a mean of clusters that differ in size; windows within one depend on each other.

    The standard error is that of a ratio of totals (Cochran, Sampling Techniques, 1977, §6.3).
    Returns none where there are fewer than two clusters.
    """
    kept = [(count, value) for count, value in clusters if count]
    if len(kept) < 2:
        return None
    total = sum(count for count, _ in kept)
    mean = sum(count * value for count, value in kept) / total
    squares = sum((count * (value - mean)) ** 2 for count, value in kept)
    error = math.sqrt(squares * len(kept) / (len(kept) - 1)) / total
    freedom = len(kept) - 1
    half = t975(freedom) * error
    smallest = half + t80(freedom) * error
    return Difference(mean, mean - half, mean + half, smallest, len(kept), unit)


def t80(freedom: int) -> float:
    """Return the 80 % quantile of Student's t; beyond 30 degrees of freedom that of 30."""
    return _T80[min(freedom, len(_T80)) - 1]
