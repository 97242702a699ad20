"""The kind of task that continues text: at every frame, how likely each token comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import DataError
from edgeseq.tasks.base import UNKNOWN, Array, Losses, Predict, Recording, Score, Split
from edgeseq.tasks.kinds import Declared
from edgeseq.tasks.ngrams import NGrams
from edgeseq.tasks.scoring import BATCH, Windows, cut_windows, per_subject, window_losses

METRIC = "bits per character"

ORDER = 8
"""Of the strong baseline, chosen on the validation files of `text`: each more gains less, the last
0.01 bits for half as many n-grams again."""


@dataclass(frozen=True)
class NextToken(Declared):
    """Which token comes next, from the tokens so far; the outputs are logits.

    Scored from a reset state in stretches of `span` frames; the first `warmup` of a stretch are
    not scored but lie in the stretch before, so only a recording's first frames are left out.
    """

    warmup: int
    span: int
    window: None = None

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Return the mean of how many bits a token costs: minus log2 of its probability."""
        stretches = self._stretches(recordings)
        bits, known = self._bits(predict, stretches)
        subject = np.broadcast_to(stretches.subject[:, None], bits.shape)[known]
        return Score(
            metric=METRIC,
            value=float(bits[known].mean()),
            higher_is_better=False,
            count=int(known.sum()),
            per_subject=per_subject(bits[known], subject),
        )

    def losses(
        self, predict: Predict, recordings: Sequence[Recording], first: int | None = None
    ) -> Losses:
        """Return bits; `first`: of that many tokens after the warm-up of each stretch."""
        stretches = self._stretches(recordings)
        bits, known = (part[:, :first] for part in self._bits(predict, stretches))
        total = np.where(known, bits, 0).sum(axis=1)
        return window_losses(stretches, total, known.sum(axis=1), METRIC, higher=False)

    def frame_losses(self, predict: Predict, recordings: Sequence[Recording]) -> Losses:
        """Return bits: they are those of frames as they are."""
        return self.losses(predict, recordings)

    def decide(self, outputs: Array) -> NDArray[Any]:
        """Return the most likely token after each frame."""
        tokens: NDArray[Any] = outputs.argmax(axis=-1)
        return tokens

    def augment(self, frames: Array, rng: np.random.Generator) -> Array:
        """Return the frames as they are: no token means the same as another."""
        return frames

    def baselines(self, split: Split) -> dict[str, Score]:
        """Score how often each token comes, and n-grams, counted on `split.train`."""
        orders = {"unigram": 1, f"{ORDER}-gram": ORDER}
        tokens = len(self.frame.vocabulary)
        return {
            name: self.score(NGrams(split.train, order, tokens), split.test)
            for name, order in orders.items()
        }

    def _stretches(self, recordings: Sequence[Recording]) -> Windows:
        return cut_windows(recordings, self.span, overlap=self.warmup, ragged=True)

    def _bits(
        self, predict: Predict, stretches: Windows
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the cost `(N, L - warmup)` of each token, and which of them are known."""
        target = stretches.target[:, self.warmup :]
        known = target != UNKNOWN
        if not known.any():
            raise DataError(
                f"no token with a known next one lies more than {self.warmup} tokens after a "
                "start; use longer recordings"
            )
        parts = [
            token_bits(
                predict(stretches.frames[start : start + BATCH])[:, self.warmup :],
                target[start : start + BATCH],
            )
            for start in range(0, len(target), BATCH)
        ]
        return np.concatenate(parts), known


def token_bits(logits: Array, target: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return minus log2 of the softmax of logits `(N, T, V)` at `target` `(N, T)`.

    Where the target is unknown, it is some number.
    """
    highest = logits.max(axis=-1, keepdims=True)
    total = np.exp(logits - highest).sum(axis=-1, dtype=np.float64)
    own = np.take_along_axis(logits - highest, np.maximum(target, 0)[..., None], axis=-1)[..., 0]
    bits: NDArray[np.float64] = (np.log(total) - own) / np.log(2)
    return bits


def next_tokens(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what comes after each of `tokens` `(T,)`; `UNKNOWN` after the last."""
    return np.append(tokens[1:], UNKNOWN)
