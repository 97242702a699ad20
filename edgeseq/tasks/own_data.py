"""From the user's files to recordings, collecting everything that is wrong on the way."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.tasks.augment import stack
from edgeseq.tasks.base import UNKNOWN, Array, Recording
from edgeseq.tasks.own_spec import FILE, FOLDER, PATTERN, OwnData, is_column
from edgeseq.tasks.tables import (
    SUFFIXES,
    Columns,
    Layout,
    UnreadableError,
    find_files,
    read_tables,
)
from edgeseq.tasks.targets import ahead

SHOWN = 8
"""Names listed in one message."""


class Findings:
    """Mistakes found in files; the same one in many files becomes one line."""

    def __init__(self) -> None:
        self._where: dict[str, list[str]] = {}
        self.lost = 0
        """Recordings that could not be built, so that nothing is known of their subject."""

    def add(self, mistake: str, file: str = "") -> None:
        """Note `mistake`, made in `file` or in none."""
        self._where.setdefault(mistake, []).append(file)

    def lines(self) -> list[str]:
        """Return one line a mistake."""
        return [mistake + _in_files(files) for mistake, files in self._where.items()]


def _in_files(files: list[str]) -> str:
    names = list(dict.fromkeys(name for name in files if name))
    if not names:
        return ""
    more = len(names) - 1
    return f" ({names[0]}" + (f" and {more} more file{'s' if more > 1 else ''})" if more else ")")


def listing(names: list[str]) -> str:
    """Return names for a message, the first few of many."""
    return ", ".join(names[:SHOWN]) + (f" … ({len(names)})" if len(names) > SHOWN else "")


def read_recordings(spec: OwnData, folder: Path, findings: Findings) -> list[Recording]:
    """Read every file that `spec` names; what is wrong goes to `findings`."""
    recordings = []
    found = find_files(folder, spec.files)
    for pattern, paths in found.items():
        if not paths:
            findings.add(f'files: nothing matches "{pattern}" in {folder.absolute()}')
    for path in dict.fromkeys(path for paths in found.values() for path in paths):
        recordings += _read_file(path, folder, spec, findings)
    return recordings


def _read_file(path: Path, folder: Path, spec: OwnData, findings: Findings) -> list[Recording]:
    name = _shown(path, folder)
    if path.suffix.lower() not in SUFFIXES:
        findings.add(f"files: {path.suffix or 'no'} ending; allowed: {', '.join(SUFFIXES)}", name)
        return []
    try:
        tables = read_tables(path, _layout(spec))
    except UnreadableError as error:
        findings.add(f"{error.key}: {error}", name)
        findings.lost += 1
        return []
    many = len(tables) > 1
    readers = [
        _Reader(spec, table, path, f"{name}[{index}]" if many else name, name, findings)
        for index, table in enumerate(tables)
    ]
    recordings = [reader.recording() for reader in readers]
    findings.lost += recordings.count(None)
    return [recording for recording in recordings if recording is not None]


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _layout(spec: OwnData) -> Layout:
    sources = [spec.label, spec.target, spec.subject]
    extra = [name for name in sources if name and is_column(name) and name not in spec.inputs]
    return Layout(tuple(spec.inputs), tuple(dict.fromkeys(extra)), spec.array)


class _Reader:
    """One recording's columns, on the way to frames and targets."""

    def __init__(
        self,
        spec: OwnData,
        columns: Columns,
        path: Path,
        name: str,
        file: str,
        findings: Findings,
    ) -> None:
        self.spec, self.columns, self.path = spec, columns, path
        self.name, self.file, self.findings = name, file, findings

    def recording(self) -> Recording | None:
        """Return the recording, or none after noting why there is none."""
        inputs = [self._numbers("inputs", name) for name in self.spec.inputs]
        samples = self._table([column for column in inputs if column is not None])
        subject = self._source("subject", self.spec.subject)
        if samples is None or subject is None or len(samples) < self.spec.samples_per_frame:
            return None
        frames = stack(samples, self.spec.samples_per_frame)
        target = self._target(frames)
        if target is None or any(column is None for column in inputs):
            return None
        return Recording(frames, target, subject=str(subject.flat[0]), name=self.name)

    def _target(self, frames: Array) -> NDArray[Any] | None:
        if self.spec.label is not None:
            return self._classes(frames)
        if self.spec.target is not None:
            return self._values(frames)
        return np.full(len(frames), UNKNOWN)  # the TOML is wrong here; the inputs are still read

    def _note(self, mistake: str) -> None:
        self.findings.add(mistake, self.file)

    def _column(self, key: str, name: str) -> NDArray[Any] | None:
        if name not in self.columns:
            self._note(f'{key}: no column "{name}"; there are: {listing(list(self.columns))}')
        return self.columns.get(name)

    def _source(self, key: str, source: str) -> NDArray[Any] | None:
        """Return the label or subject as text, from wherever it is written."""
        if source == FILE:
            return np.array(self.path.stem)
        if source == FOLDER:
            return np.array(self.path.parent.name)
        if not source.startswith(PATTERN):
            return self._column(key, source)
        match = re.search(source.removeprefix(PATTERN), self.path.as_posix())
        if match is None:
            self._note(f"{key}: {source!r} does not match the file's path")
        return None if match is None else np.array(match[1])

    def _numbers(self, key: str, name: str, *, known: bool = True) -> Array | None:
        """Return a column as float32; NaN only where it need not be `known`."""
        column = self._column(key, name)
        if column is None:
            return None
        try:
            text = column.dtype.kind == "U"
            values = np.where(column == "", "nan", column) if text else column
            numbers: Array = values.astype(np.float32)
        except ValueError as error:
            self._note(f'{key}: column "{name}" is not all numbers: {error}')
            return None
        finite = np.isfinite(numbers)
        if known and not finite.all():
            missing = np.count_nonzero(~finite)
            self._note(f'{key}: column "{name}" has {missing} NaN, infinite or empty values')
        return np.where(finite, numbers, np.float32(np.nan))

    def _table(self, columns: list[Array]) -> Array | None:
        shapes = {column.shape for column in columns}
        if len(shapes) == 1 and columns[0].ndim == 1:
            return np.stack(columns, axis=1)
        if columns:
            self._note(f"inputs: columns have shapes {sorted(shapes)}, not all (T,)")
        return None

    def _newest(self, key: str, column: NDArray[Any], frames: Array) -> NDArray[Any] | None:
        """Return the column at each frame's last sample; one value holds for all frames."""
        if column.size == 1:
            return np.repeat(column.reshape(1), len(frames), axis=0)
        each = self.spec.samples_per_frame
        if column.ndim != 1 or len(column) // each != len(frames):
            self._note(f"{key}: shape {column.shape} is neither one value nor one for each row")
            return None
        return column[each - 1 :: each][: len(frames)]

    def _values(self, frames: Array) -> Array | None:
        target = self._numbers("target", str(self.spec.target), known=False)
        newest = None if target is None else self._newest("target", target, frames)
        return None if newest is None else ahead(newest[:, None], self.spec.horizon)

    def _classes(self, frames: Array) -> NDArray[np.int64] | None:
        written = self._source("label", str(self.spec.label))
        labels = None if written is None else self._newest("label", written, frames)
        if labels is None:
            return None
        values, index = np.unique(labels, return_inverse=True)
        numbers = [self._class(value) for value in values.tolist()]
        return np.array(numbers, np.int64)[index]

    def _class(self, value: Any) -> int:  # noqa: ANN401 - text or any number
        """Return the number of a class that is written as its name or number."""
        text = f"{value:g}" if isinstance(value, float) else str(value).strip()
        classes = self.spec.classes
        if text in classes:
            return classes.index(text)
        if text in ("", "nan", "-1"):
            return UNKNOWN
        if text.isdecimal() and int(text) < len(classes):
            return int(text)
        self._note(f'label: "{text}" is not in classes: {listing(list(classes))}')
        return UNKNOWN
