"""How much a quantized twin loses against its fp32 model on the same windows, and how sure that is.

Both saw the same frames, so what differs is the twin alone; but windows of one recording, and
recordings of one person, share their luck. The bootstrap therefore draws whole clusters (Davison
& Hinkley, Bootstrap Methods and their Application, 1997, §3.8; Cameron, Gelbach & Miller, 2008),
and takes wider percentiles the fewer they are (Hesterberg, 2015, §5.3: expanded percentiles).
`edgeseq.claims.intervals` compares two models by their scores with Student's t: it needs no
losses, but knows no ratio, such as a change in per cent of fp32's error, and no skew.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.stats import t975
from edgeseq.errors import UsageError
from edgeseq.measured import FEWEST_CLUSTERS, Paired
from edgeseq.tasks.base import Losses

DRAWS = 10_000
BATCH = 500
"""Samples that are drawn at a time, for memory's sake."""
STRETCHES = 40
"""Parts of all frames that are clusters where recordings are too few: windows depend on their
neighbours, long stretches hardly (Carlstein, 1986)."""


def compare(fp32: Losses, twin: Losses, *, seed: int = 0) -> Paired | None:
    """Return what `twin` loses against `fp32` on the windows that both were judged on.

    In points where the score is a percentage, else in per cent of fp32's error; negative where
    the twin is better. Returns none where there is no second cluster, or fp32 makes no error
    that a change could be a share of.

    Raises:
        UsageError: the two were not judged on the same windows.
    """
    _require_pairs(fp32, twin)
    by, clusters = widest(fp32)
    sums = _Sums.of(fp32, twin, clusters)
    if len(sums.count) < 2 or (sums.relative and not sums.fp32.sum()):
        return None
    low, high = _interval(sums, seed)
    if not sums.relative and (fp32.count == 1).all():  # one decision a window
        unseen = _matched_proportions(twin.total - fp32.total)
        low, high = min(low, unseen[0]), max(high, unseen[1])
    return Paired(
        drop=float(sums.drop(np.ones((1, len(sums.count))))[0]),
        low=low,
        high=high,
        unit="% of fp32's" if sums.relative else "points",
        clusters=len(sums.count),
        by=by,
        count=int(fp32.count.sum()),
    )


def pool(parts: list[Losses], recordings: list[int]) -> Losses:
    """Join the losses of several folds or seeds.

    Args:
        parts: losses, the windows of each fold or seed.
        recordings: of each part, what its recordings are counted from; parts that share their
            recordings, as seeds do, share this number, so that they do not count as new ones.
    """
    moved = [part.recording + first for part, first in zip(parts, recordings, strict=True)]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("total", "count", "subject", "start")
    }
    first = parts[0]
    return Losses(first.metric, first.higher_is_better, recording=np.concatenate(moved), **columns)


def widest(losses: Losses) -> tuple[str, NDArray[np.int64]]:
    """Return the widest kind of cluster of which there are enough, and each window's cluster.

    Subjects speak for people in general, recordings for these people, stretches for these
    recordings. Clusters count by their size (Kish, 1965): nine short ones beside a long one are
    hardly two.
    """
    kinds = {
        "subjects": np.unique(losses.subject, return_inverse=True)[1],
        "recordings": losses.recording,
        "stretches": _stretches(losses),
    }
    enough = (
        by
        for by, clusters in kinds.items()
        if _effective(clusters, losses.count) >= FEWEST_CLUSTERS
    )
    by = next(enough, "stretches")
    return by, kinds[by]


def _stretches(losses: Losses) -> NDArray[np.int64]:
    """Return numbers of consecutive parts of recordings, about `STRETCHES` of one length."""
    last = np.zeros(losses.recording.max() + 1)
    np.maximum.at(last, losses.recording, losses.start + 1)
    length = math.ceil(last.sum() / STRETCHES)
    places = np.stack([losses.recording, losses.start // length])
    numbers: NDArray[np.int64] = np.unique(places, axis=1, return_inverse=True)[1].ravel()
    return numbers


def _effective(clusters: NDArray[np.int64], count: NDArray[np.int64]) -> float:
    sizes = np.bincount(clusters, count)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def clusters_needed(paired: Paired, limit: float) -> int | None:
    """Return about how many clusters would decide it, were the drop what it seems to be.

    An interval shrinks with the root of their number. None: it is decided, or the drop is the
    limit, and no number would do.
    """
    if paired.verdict(limit) != "inconclusive":
        return None
    inside = paired.drop <= limit
    reach = paired.high - paired.drop if inside else paired.drop - paired.low
    distance = abs(limit - paired.drop)
    if not distance or not math.isfinite(reach / distance):
        return None
    return max(FEWEST_CLUSTERS, math.ceil(paired.clusters * (reach / distance) ** 2))


@dataclass(frozen=True)
class _Sums:
    """What each cluster adds up to."""

    fp32: NDArray[np.float64]
    twin: NDArray[np.float64]
    count: NDArray[np.float64]
    relative: bool
    """The drop is a share of fp32's loss, not a difference of means."""

    @staticmethod
    def of(fp32: Losses, twin: Losses, clusters: NDArray[np.int64]) -> "_Sums":
        numbers = np.unique(clusters, return_inverse=True)[1]
        columns: list[NDArray[Any]] = [
            np.bincount(numbers, values) for values in (fp32.total, twin.total, fp32.count)
        ]
        kept = columns[2] > 0
        relative = not (fp32.higher_is_better and "%" in fp32.metric)
        return _Sums(columns[0][kept], columns[1][kept], columns[2][kept], relative)

    def drop(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the drop in each of `(D, G)` samples: how often every cluster is in it."""
        base = self.fp32 / 100 if self.relative else self.count
        drops: NDArray[np.float64] = weights @ (self.twin - self.fp32) / (weights @ base)
        return drops


def _interval(sums: _Sums, seed: int) -> tuple[float, float]:
    clusters = len(sums.count)
    share, rng = np.full(clusters, 1 / clusters), np.random.default_rng(seed)
    drops = []
    for _ in range(DRAWS // BATCH):
        weights = rng.multinomial(clusters, share, BATCH).astype(np.float64)
        if sums.relative:  # a sample of nothing but clusters without an error has no drop
            weights = weights[weights @ sums.fp32 > 0]
        drops.append(sums.drop(weights))
    tail = _tail(clusters)
    low, high = np.quantile(np.concatenate(drops), (tail, 1 - tail))
    return float(low), float(high)


def _matched_proportions(lost: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval of a difference of decisions, were every window a cluster.

    No bootstrap draws what has not happened yet: where 300 windows hold no decision that the twin
    loses, 1 % may. Half a pair more in every cell (Agresti & Min, 2005) leaves room for that.
    """
    pairs = len(lost) + 2
    worse, better = (np.count_nonzero(side) + 0.5 for side in (lost > 0, lost < 0))
    half = 1.96 * math.sqrt(worse + better - (worse - better) ** 2 / pairs)
    return 100 * (worse - better - half) / pairs, 100 * (worse - better + half) / pairs


def _tail(clusters: int) -> float:
    """Return the share of samples beyond each end: 2.5 %, and less where clusters are few.

    The bootstrap of a mean is too narrow by the root of (G - 1) / G and by what a normal
    distribution lacks of Student's.
    """
    ends = t975(clusters - 1) * math.sqrt(clusters / (clusters - 1))
    return math.erfc(ends / math.sqrt(2)) / 2


def _require_pairs(fp32: Losses, twin: Losses) -> None:
    same = fp32.metric == twin.metric and all(
        np.array_equal(getattr(fp32, name), getattr(twin, name))
        for name in ("count", "subject", "recording", "start")
    )
    if not same:
        raise UsageError(
            f"{len(fp32.count)} windows ({fp32.metric}) and {len(twin.count)} ({twin.metric}) are "
            "not the same ones; judge both on the same recordings"
        )
