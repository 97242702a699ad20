"""Judging a predictor: the same windows, cut in the same way, for networks and baselines."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import DataError
from edgeseq.tasks.base import UNKNOWN, Array, Losses, Predict, Recording, Score

BATCH = 512
"""Windows in one call of a predictor."""


WINDOW_ACCURACY, FRAME_ACCURACY = "window accuracy %", "frame accuracy %"

Rule = Literal["mean", "last"]
"""What decides a window: the mean of its frames' outputs, or its last frame's alone."""


@dataclass(frozen=True)
class Windows:
    """Equally long stretches of recordings, each played from a reset state."""

    frames: Array
    """`(N, L, F)`"""
    target: NDArray[Any]
    """`(N, L)` classes or `(N, L, K)` values; unknown where a frame is not scored."""
    subject: NDArray[np.str_]
    """`(N,)`"""
    recording: NDArray[np.int64]
    """`(N,)` which of the recordings, in the order in which they were given."""
    start: NDArray[np.int64]
    """`(N,)` the recording's frame that comes first."""
    length: NDArray[np.int64]
    """`(N,)` frames that are there; what follows them only fills the window up."""


def cut_windows(
    recordings: Sequence[Recording], length: int, *, overlap: int = 0, ragged: bool = False
) -> Windows:
    """Cut windows of `length` frames that share `overlap` frames with the one before.

    A remainder that is too short is dropped, or, where `ragged`, filled up with its last frame
    and an unknown target.
    """
    pieces = [
        (number, start)
        for number, recording in enumerate(recordings)
        for start in _starts(len(recording.frames), length, length - overlap, ragged)
    ]
    if not pieces:
        raise DataError(
            f"no recording has the {length} frames of a window; use longer recordings or a "
            "shorter window"
        )
    return Windows(
        frames=np.stack([_frames(recordings[item], start, length) for item, start in pieces]),
        target=np.stack([_target(recordings[item], start, length) for item, start in pieces]),
        subject=np.array([recordings[item].subject for item, _ in pieces]),
        recording=np.array([item for item, _ in pieces]),
        start=np.array([start for _, start in pieces]),
        length=np.array([len(recordings[item].frames[start:][:length]) for item, start in pieces]),
    )


def _starts(total: int, length: int, hop: int, ragged: bool) -> range:
    """Return where windows begin; a ragged one has to add at least one frame."""
    return range(0, max(total - (length - hop), 1) if ragged else total - length + 1, hop)


def _frames(item: Recording, start: int, length: int) -> Array:
    piece = item.frames[start : start + length]
    return np.pad(piece, ((0, length - len(piece)), (0, 0)), mode="edge")


def _target(item: Recording, start: int, length: int) -> NDArray[Any]:
    piece = item.target[start : start + length]
    missing = [(0, length - len(piece)), *[(0, 0)] * (piece.ndim - 1)]
    return np.pad(piece, missing, constant_values=UNKNOWN if piece.ndim == 1 else np.nan)


def run(predict: Predict, frames: Array) -> Array:
    """Call `predict` on `(N, L, F)` in as few batches as memory allows → `(N, L, C)`."""
    batches = range(0, len(frames), BATCH)
    return np.concatenate([predict(frames[start : start + BATCH]) for start in batches])


def window_classes(target: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return the most frequent known class of each window `(N, L)`; `UNKNOWN` if none is known."""
    counts = (target[..., None] == np.arange(classes)).sum(axis=1)  # (N, classes)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), UNKNOWN)


def classification_score(
    predict: Predict, windows: Windows, classes: int, rule: Rule = "mean"
) -> Score:
    """Window accuracy: `rule` says which outputs decide, by the largest of them."""
    windows = known_windows(windows, classes)
    truth = window_classes(windows.target, classes)
    decision = _decisions(run(predict, windows.frames), windows.length, rule)
    right = 100.0 * (decision == truth)
    return Score(
        metric=WINDOW_ACCURACY,
        value=float(right.mean()),
        higher_is_better=True,
        count=len(truth),
        per_subject=per_subject(right, windows.subject),
        confusion=confusion(truth, decision, classes),
    )


def classification_losses(
    predict: Predict,
    windows: Windows,
    classes: int,
    first: int | None = None,
    rule: Rule = "mean",
) -> Losses:
    """Return where decisions are wrong; `first`: as after that many frames of each window."""
    windows = known_windows(windows, classes)
    outputs = run(predict, windows.frames)[:, :first]
    length = np.minimum(windows.length, outputs.shape[1])
    wrong = _decisions(outputs, length, rule) != window_classes(windows.target, classes)
    return window_losses(windows, 100.0 * wrong, np.ones(len(wrong)), WINDOW_ACCURACY, higher=True)


def frame_losses(predict: Predict, windows: Windows) -> Losses:
    """Return how many frames of each window are wrong, each decided by its own outputs alone."""
    known = windows.target != UNKNOWN  # (N, L)
    if not known.any():
        raise DataError("no frame has a known class; use recordings that have labels")
    wrong = known & (run(predict, windows.frames).argmax(axis=-1) != windows.target)
    return window_losses(
        windows, 100.0 * wrong.sum(axis=1), known.sum(axis=1), FRAME_ACCURACY, higher=True
    )


def known_windows(windows: Windows, classes: int) -> Windows:
    """Return the windows whose class is known; `DataError` where none is."""
    known = window_classes(windows.target, classes) != UNKNOWN
    if not known.any():
        raise DataError("no window has a known class; use recordings that have labels")
    return Windows(**{field.name: getattr(windows, field.name)[known] for field in fields(windows)})


def _decisions(outputs: Array, length: NDArray[np.int64], rule: Rule) -> NDArray[np.int64]:
    """Return the class that each window's first `length` outputs of `(N, L, C)` decide for."""
    there = np.arange(outputs.shape[1]) < length[:, None]  # (N, L)
    deciding = (
        outputs[np.arange(len(outputs)), length - 1]
        if rule == "last"
        else outputs.mean(axis=1, where=there[..., None])
    )
    decisions: NDArray[np.int64] = deciding.argmax(axis=-1)
    return decisions


def value_score(predict: Predict, windows: Windows, warmup: int, units: str) -> Score:
    """Mean absolute error over frames with a known target, `warmup` frames or more after reset."""
    error, known = _errors(predict, windows, warmup)
    subject = np.broadcast_to(windows.subject[:, None, None], error.shape)[known]
    return Score(
        metric=_mae(units),
        value=float(error[known].mean(dtype=np.float64)),
        higher_is_better=False,
        count=int(known.sum()),
        per_subject=per_subject(error[known], subject),
    )


def value_losses(
    predict: Predict, windows: Windows, warmup: int, units: str, first: int | None = None
) -> Losses:
    """Return absolute errors; `first`: of that many frames after the warm-up of each window."""
    error, known = (part[:, :first] for part in _errors(predict, windows, warmup))
    total = np.where(known, error, 0).sum(axis=(1, 2), dtype=np.float64)
    return window_losses(windows, total, known.sum(axis=(1, 2)), _mae(units), higher=False)


def _errors(
    predict: Predict, windows: Windows, warmup: int
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return absolute errors `(N, L - warmup, K)`, and which of them are known."""
    error = np.abs(run(predict, windows.frames) - windows.target)[:, warmup:]
    known = ~np.isnan(windows.target)[:, warmup:]
    if not known.any():
        raise DataError(
            f"no frame with a known target lies more than {warmup} frames after a start; "
            "use longer recordings"
        )
    return error, known


def _mae(units: str) -> str:
    return f"MAE {units}".rstrip()


def window_losses(
    windows: Windows, total: NDArray[Any], count: NDArray[Any], metric: str, *, higher: bool
) -> Losses:
    """Return what is lost in `total` `(N,)` on each of `windows`, of `count` `(N,)` that count."""
    origin = windows.subject, windows.recording, windows.start
    return Losses(metric, higher, total, count.astype(np.int64), *origin)


def per_subject(values: NDArray[Any], subject: NDArray[np.str_]) -> dict[str, float]:
    """Return the mean of `values` of each subject."""
    names = list(dict.fromkeys(subject.tolist()))
    return {name: float(values[subject == name].mean(dtype=np.float64)) for name in names}


def confusion(
    truth: NDArray[np.int64], decision: NDArray[Any], classes: int
) -> tuple[tuple[int, ...], ...]:
    """Count decisions (columns) for each true class (rows)."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, decision), 1)
    return tuple(tuple(row) for row in table.tolist())
