"""How far a stream of outputs is from the reference: largest error, noise, drift, decisions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output, predicts_next_token
from edgeseq.errors import UsageError
from edgeseq.measured import Parity

Array = NDArray[np.float32]

Decide = Callable[[Array, Array], NDArray[Any]]
"""Two outputs `(T, C)` → how likely their decisions differ at each frame, `(T,)`, 0 to 1."""

STRETCHES = 10
"""Parts of a run over which drift is reported."""

HIGHEST_SQNR_DB = 300.0
"""What equal arrays get, and its negative what NaN gets: still numbers that JSON can hold."""


def decision_rule(frame: Frame, output: Output) -> Decide | None:
    """Return how decisions are compared; values decide nothing.

    A class is the largest logit. A next token is drawn: two models that draw with the same random
    number can take the same token but for the total variation of their distributions.
    """
    if output.kind != "logits":
        return None
    return _drawn if predicts_next_token(frame, output) else _largest


def compare(reference: Array, outputs: Array, decide: Decide | None = None) -> Parity:
    """Measure `outputs` `(T, C)` against `reference` `(T, C)`.

    An output that is not a finite number counts as an infinite error.

    Args:
        reference: what should have come out, frame by frame.
        outputs: what came out.
        decide: how decisions are compared; none: no decision can change.

    Raises:
        UsageError: the shapes differ, or there are no frames.
    """
    if reference.shape != outputs.shape or reference.ndim != 2 or not len(reference):
        raise UsageError(f"cannot compare outputs {outputs.shape} with {reference.shape}")
    with np.errstate(invalid="ignore"):
        error = np.abs(outputs.astype(np.float64) - reference)  # (T, C)
    error[~np.isfinite(error)] = np.inf
    scale = max(_rms(reference), float(np.finfo(np.float32).tiny))
    at_step = int(error.max(axis=1).argmax())
    return Parity(
        steps=len(reference),
        relative_error=float(error[at_step].max() / scale),
        at_step=at_step,
        sqnr_db=_decibels(scale, _rms(error)),
        changed_decisions=_changed(reference, outputs, decide),
        drift=tuple(
            _rms(part) / scale for part in np.array_split(error, min(STRETCHES, len(error)))
        ),
    )


def _changed(reference: Array, outputs: Array, decide: Decide | None) -> float:
    return 0.0 if decide is None else float(np.mean(decide(reference, outputs)))


def _rms(array: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def _decibels(signal: float, noise: float) -> float:
    if not noise or not math.isfinite(noise):
        return HIGHEST_SQNR_DB if not noise else -HIGHEST_SQNR_DB
    return min(HIGHEST_SQNR_DB, 20 * math.log10(signal / noise))


def _largest(reference: Array, outputs: Array) -> NDArray[Any]:
    differs: NDArray[Any] = reference.argmax(axis=-1) != outputs.argmax(axis=-1)
    return differs


def _drawn(reference: Array, outputs: Array) -> NDArray[Any]:
    """Return the total variation of the softmaxes; what is not a number differs for certain."""
    with np.errstate(invalid="ignore"):
        apart: NDArray[Any] = np.abs(_softmax(reference) - _softmax(outputs)).sum(axis=-1) / 2
    apart[np.isnan(apart)] = 1.0
    return apart


def _softmax(logits: Array) -> NDArray[np.float64]:
    likely = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = likely / likely.sum(axis=-1, keepdims=True)
    return shares
