"""n-grams of tokens: the predictor that a next-token model has to beat.

Interpolated modified Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999, "An empirical
study of smoothing techniques for language modeling", §3). A level's n-grams are numbers to the
base of the vocabulary, sorted, so that counting and looking up are NumPy's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import UsageError
from edgeseq.tasks.base import Array, Recording

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """All n-grams of one length and how often they came."""

    grams: Numbers
    """`(G,)` sorted: the oldest token is the highest digit, the token to predict the lowest."""
    counts: Numbers
    """`(G,)` occurrences; below the longest n-grams, different tokens that came before."""
    discounts: NDArray[np.float64]
    """`(4,)` what is taken from n-grams that came 0, 1, 2 and 3 or more times."""

    def likely(self, context: Numbers, shorter: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities `(T, V)` of each next token after contexts `(T,)`.

        `shorter` are those of one token less, which the discounts are spent on.
        """
        tokens = shorter.shape[1]
        first, last = (np.searchsorted(self.grams, (context + end) * tokens) for end in (0, 1))
        size = last - first
        row = np.repeat(np.arange(len(context)), size)
        entry = np.arange(size.sum()) + np.repeat(first - size.cumsum() + size, size)
        counts = self.counts[entry]
        taken = self.discounts[np.minimum(counts, 3)]
        total = np.bincount(row, counts, len(context))
        seen = total > 0
        spent = np.divide(np.bincount(row, taken, len(context)), total, where=seen, out=seen + 0.0)
        spent[~seen] = 1
        probabilities: NDArray[np.float64] = shorter * spent[:, None]
        probabilities[row, self.grams[entry] % tokens] += (counts - taken) / total[row]
        return probabilities


class NGrams:
    """Predicts the next token from the last `order - 1`; a `Predict` of log-probabilities."""

    def __init__(self, recordings: Sequence[Recording], order: int, tokens: int) -> None:
        if order < 1 or tokens**order > np.iinfo(np.int64).max:
            raise UsageError(f"no {order}-grams of {tokens} tokens: their numbers need 64 bits")
        self.order, self.tokens = order, tokens
        texts = [recording.frames[:, 0].astype(np.int64) for recording in recordings]
        grams, counts = np.unique(
            np.concatenate([self._grams(text, order) for text in texts]), return_counts=True
        )
        levels = [_level(grams, counts)]
        for shorter in range(order - 1, 0, -1):
            grams, counts = np.unique(grams % tokens**shorter, return_counts=True)
            levels.append(_level(grams, counts))
        self.levels = levels[::-1]

    def __call__(self, frames: Array) -> Array:
        """Map tokens `(N, T, 1)` to log-probabilities of the next `(N, T, V)`."""
        rows = frames[..., 0].astype(np.int64)
        return np.stack([np.log(self.probabilities(row)).astype(np.float32) for row in rows])

    def probabilities(self, text: Numbers) -> NDArray[np.float64]:
        """Return the probabilities `(T, V)` of what comes after each of the tokens `(T,)`."""
        # The next token does not count among the order's: 0 stands in for it and is cut off.
        context = self._grams(np.append(text, 0), self.order)[1:] // self.tokens
        likely = np.full((len(text), self.tokens), 1 / self.tokens)
        for length, level in enumerate(self.levels):
            likely = level.likely(context % self.tokens**length, likely)
        return likely

    def _grams(self, text: Numbers, order: int) -> Numbers:
        """Return the n-gram that ends at each token; before the first lie tokens 0."""
        padded = np.concatenate([np.zeros(order - 1, np.int64), text])
        grams = np.zeros(len(text), np.int64)
        for place in range(order):
            grams = grams * self.tokens + padded[place : place + len(text)]
        return grams


def _level(grams: Numbers, counts: Numbers) -> Level:
    """Estimate the discounts from how many n-grams came 1, 2, 3 and 4 times."""
    rare = np.array([np.count_nonzero(counts == times) for times in (1, 2, 3, 4)])
    times = np.arange(1, 4)
    if rare.all():
        share = rare[0] / (rare[0] + 2 * rare[1])
        discounts = np.clip(times - (times + 1) * share * rare[1:] / rare[:-1], 0, times)
    else:  # too little text to estimate anything
        discounts = np.full(3, 0.5)
    return Level(grams, counts, np.append(0.0, discounts))
