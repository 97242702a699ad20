"""Train, validation and test: disjoint by subject, or one after the other in time."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgeseq.errors import UsageError
from edgeseq.tasks.base import UNKNOWN, Recording, Split

Divide = Callable[[Sequence[Recording], int], Split]
"""Recordings and the number of a fold → its split."""


def subjects_of(recordings: Sequence[Recording]) -> list[str]:
    """Return the subjects in the order in which they first appear."""
    return list(dict.fromkeys(recording.subject for recording in recordings))


def by_subject(recordings: Sequence[Recording], fold: int, *, folds: int, validation: int) -> Split:
    """Test on the fold's share of the subjects, choose on the next `validation`, train on others.

    Over all `folds` everybody is tested exactly once; in no fold is anybody on two sides.
    """
    subjects = subjects_of(recordings)
    first, last = (len(subjects) * number // folds for number in (fold, fold + 1))
    following = subjects[last:] + subjects[:first]
    return named(recordings, subjects[first:last], following[:validation])


def named(recordings: Sequence[Recording], test: Sequence[str], validation: Sequence[str]) -> Split:
    """Test and choose on the subjects that are named; train on all others."""
    held_out = {*test, *validation}
    return Split(
        train=tuple(item for item in recordings if item.subject not in held_out),
        validation=tuple(item for item in recordings if item.subject in validation),
        test=tuple(item for item in recordings if item.subject in test),
    )


def at_random(
    recordings: Sequence[Recording], fold: int, *, folds: int, validation: float, seed: int = 0
) -> Split:
    """Test on the fold's share of the recordings, in an order drawn by `seed`; choose on others.

    For recordings of unknown subjects: what it says holds for these subjects alone.
    """
    order = np.random.default_rng(seed).permutation(len(recordings))
    first, last = (len(order) * number // folds for number in (fold, fold + 1))
    return _in_parts(
        [recordings[index] for index in np.roll(order, -last)], last - first, validation
    )


def in_order(recordings: Sequence[Recording], *, test: float, validation: float) -> Split:
    """Test on the last fraction `test` of the recordings, choose on those before them."""
    return _in_parts(recordings, round(test * len(recordings)), validation)


def _in_parts(recordings: Sequence[Recording], tested: int, validation: float) -> Split:
    """Test on the last ones, choose on the fraction `validation` of all before them."""
    test = len(recordings) - tested
    train = test - round(validation * len(recordings))
    items = tuple(recordings)
    return Split(train=items[:train], validation=items[train:test], test=items[test:])


def by_time(
    recordings: Sequence[Recording], *, test: float, validation: float, horizon: int
) -> Split:
    """Test on the last fraction `test` of each subject's frames, choose on the part before it.

    Recordings of a subject are taken as given, oldest first. A recording that a border falls
    into is cut there, and the targets of the last `horizon` frames before the cut, which lie
    beyond it, are blanked.
    """
    sides: tuple[list[Recording], list[Recording], list[Recording]] = ([], [], [])
    for subject in subjects_of(recordings):
        own = [item for item in recordings if item.subject == subject]
        total = sum(len(item.frames) for item in own)
        borders = [round(total * (1 - test - validation)), round(total * (1 - test))]
        _share_out(own, borders, horizon, sides)
    return Split(*(tuple(side) for side in sides))


def from_end(recordings: Sequence[Recording], *, test: int, validation: int, horizon: int) -> Split:
    """Test on each subject's last `test` frames, choose on the `validation` frames before them.

    Where all subjects were recorded until the same day that is one cut in time for all of them:
    what one knows of a day in the test never trains a model of another. Cut as in `by_time`.
    """
    sides: tuple[list[Recording], list[Recording], list[Recording]] = ([], [], [])
    for subject in subjects_of(recordings):
        own = [item for item in recordings if item.subject == subject]
        total = sum(len(item.frames) for item in own)
        borders = [max(total - test - validation, 0), max(total - test, 0)]
        _share_out(own, borders, horizon, sides)
    return Split(*(tuple(side) for side in sides))


def _share_out(
    own: Sequence[Recording],
    borders: Sequence[int],
    horizon: int,
    sides: tuple[list[Recording], ...],
) -> None:
    """Put what lies before, between and after two `borders`, in frames, on its side."""
    start = 0
    for item in own:
        cuts = [int(np.clip(border - start, 0, len(item.frames))) for border in borders]
        edges = [0, *cuts, len(item.frames)]
        for side, first, last in zip(sides, edges[:-1], edges[1:], strict=True):
            if last > first:
                side.append(_cut(item, first, last, horizon))
        start += len(item.frames)


def _cut(item: Recording, first: int, last: int, horizon: int) -> Recording:
    if (first, last) == (0, len(item.frames)):
        return item
    target = item.target[first:last].copy()
    if last < len(item.frames) and horizon:
        target[-horizon:] = UNKNOWN if target.ndim == 1 else np.nan
    name = f"{item.name}[{first}:{last}]"
    return replace(item, frames=item.frames[first:last], target=target, name=name)


def check_fold(fold: int, folds: int, task: str) -> None:
    """Raise `UsageError` unless `fold` is one of `folds`."""
    if not 0 <= fold < folds:
        raise UsageError(
            f"task {task} has no fold {fold}; "
            + (f"choose 0 to {folds - 1}" if folds > 1 else "it has only fold 0")
        )
