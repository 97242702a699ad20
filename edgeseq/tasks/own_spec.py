"""What a TOML about the user's own data may say; each key with its reason."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from edgeseq.contract import Frame

FILE, FOLDER, PATTERN = "file", "folder", "file:"


@dataclass(frozen=True)
class OwnSplit:
    """Which recordings train, choose and judge a model: never the same subject, or time, twice."""

    by: Literal["subject", "time"] = "subject"
    """`time`: the last part of each subject's frames, in the order of the files, is the test."""
    test: tuple[str, ...] = ()
    """Subjects by name; without, they are drawn by `test_fraction` and there are several folds."""
    validation: tuple[str, ...] = ()
    test_fraction: float = 0.2
    validation_fraction: float = 0.1


@dataclass(frozen=True)
class OwnData:
    """Files, columns, labels or a target, rate and split of the user's data."""

    files: tuple[str, ...]
    """CSV, NPZ or NPY, each one recording; globs, relative to the TOML."""
    rate_hz: float
    """Samples (rows) per second."""
    inputs: dict[str, str]
    """Column → its unit, in the order in which the model is fed. NPY columns have this order."""
    window_s: float
    """Seconds that a decision rests on: a scored window; or the past a forecast needs to count."""
    label: str | None = None
    """Where a class is written; see `source_mistakes` for what may stand here."""
    classes: tuple[str, ...] = ()
    """Names of the classes; a label is a name, or its number from 0; empty or -1 is unknown."""
    target: str | None = None
    """Column to be predicted; if it is an input, the prediction starts from its last value."""
    target_units: str = ""
    """Unit of the target; not needed where it is an input."""
    horizon_s: float = 0.0
    """How far ahead of the frame the target lies."""
    samples_per_frame: int = 1
    """Consecutive rows in a frame: fewer, larger steps for fast sensors."""
    subject: str = FILE
    """Who was recorded: what a split keeps together."""
    array: str | None = None
    """NPZ only: the array that holds all inputs, `(T, C)`, or `(N, T, C)` for N recordings."""
    split: OwnSplit = field(default_factory=OwnSplit)
    summary: str = "your own data"
    source: str = "your own files"

    @property
    def frame(self) -> Frame:
        """What a model is fed."""
        return Frame(
            channels=tuple(self.inputs),
            units=tuple(self.inputs.values()),
            sample_rate_hz=self.rate_hz,
            samples=self.samples_per_frame,
        )

    @property
    def window(self) -> int:
        """Frames in `window_s`."""
        return round(self.window_s * self.frame.rate_hz)

    @property
    def horizon(self) -> int:
        """Frames in `horizon_s`."""
        return round(self.horizon_s * self.frame.rate_hz)

    @property
    def residual_of(self) -> int | None:
        """Value of a frame that a forecast starts from: the newest sample of the target."""
        if self.target not in self.inputs:
            return None
        return (self.samples_per_frame - 1) * len(self.inputs) + list(self.inputs).index(
            self.target
        )

    def mistakes(self) -> Iterator[str]:
        """Name every value that is of the right type and still makes no sense."""
        if not self.inputs:
            yield 'inputs: empty; expected at least one column = unit, such as { ax = "g" }'
        numbers = ("rate_hz", "window_s", "horizon_s")
        endless = [key for key in numbers if not math.isfinite(getattr(self, key))]
        for key in endless:
            yield f"{key}: {getattr(self, key)} is not a finite number"
        if self.rate_hz <= 0:
            yield f"rate_hz: {self.rate_hz} is not above 0"
        if self.samples_per_frame < 1:
            yield f"samples_per_frame: {self.samples_per_frame} is not 1 or more"
        if not endless and self.rate_hz > 0 and self.samples_per_frame >= 1:
            yield from self._time_mistakes()
        yield from self._goal_mistakes()
        yield from source_mistakes("subject", self.subject)
        yield from _split_mistakes(self.split)

    def _time_mistakes(self) -> Iterator[str]:
        step = 1 / self.frame.rate_hz
        if self.window < 1:
            yield f"window_s: {self.window_s} is shorter than a frame of {step:g} s"
        if self.horizon_s < 0 or abs(self.horizon * step - self.horizon_s) > 1e-6 * step:
            yield f"horizon_s: {self.horizon_s} is not a multiple of a frame of {step:g} s"
        if self.target in self.inputs and self.horizon == 0:
            yield f"horizon_s: must be above 0, because the target {self.target} is an input"

    def _goal_mistakes(self) -> Iterator[str]:
        if (self.label is None) == (self.target is None):
            yield "label, target: give one of the two: label for classes, target for a value"
        if self.label is not None:
            yield from source_mistakes("label", self.label)
            if len(set(self.classes)) < 2 or len(set(self.classes)) < len(self.classes):
                yield "classes: expected two or more different names, for label"
        if self.target is None and self.horizon_s:
            yield "horizon_s: only a target has one"
        if self.target is not None and self.target not in self.inputs and not self.target_units:
            yield f"target_units: missing; {self.target} is no input, so its unit is not known"


def source_mistakes(key: str, source: str) -> Iterator[str]:
    """Check where a label or subject is written.

    It is a column or array, `file` (the file's name without its ending), `folder` (the name of
    the file's folder), or `file:REGEX` (the first group of a regular expression found in the
    file's path).
    """
    if source.startswith(PATTERN):
        try:
            groups = re.compile(source.removeprefix(PATTERN)).groups
        except re.error as error:
            yield f"{key}: {source!r} is no regular expression: {error}"
        else:
            if groups != 1:
                yield f"{key}: {source!r} needs exactly one group in parentheses, not {groups}"


def is_column(source: str) -> bool:
    """Say whether a label or subject is written inside the file, not in its path."""
    return source not in (FILE, FOLDER) and not source.startswith(PATTERN)


def _split_mistakes(split: OwnSplit) -> Iterator[str]:
    if split.by == "time" and (split.test or split.validation):
        yield "split.test, split.validation: names need by = 'subject'; time takes fractions"
    if bool(split.test) != bool(split.validation):
        yield "split.test, split.validation: name subjects for both, or for neither"
    for name in sorted({*split.test} & {*split.validation}):
        yield f'split.validation: "{name}" is in split.test too'
    fractions = ("test_fraction", "validation_fraction")
    wrong = [key for key in fractions if not 0 < getattr(split, key) < 1]
    for key in wrong:
        yield f"split.{key}: {getattr(split, key)} is not between 0 and 1"
    if not wrong and split.test_fraction + split.validation_fraction >= 1:
        yield "split.test_fraction, split.validation_fraction: together they leave no training"
