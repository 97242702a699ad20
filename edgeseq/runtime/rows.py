"""Rows of raw values out of files and standard input: one at a time, checked, never guessed at.

A row is one sample (a value a channel) or one whole frame (`samples` of them, oldest first).
"""

import csv
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame
from edgeseq.errors import StreamError, UsageError
from edgeseq.runtime.buffers import Array
from edgeseq.tasks.tables import UnreadableError, read_arrays

TEXT = (".csv", ".tsv", ".txt")
ARRAYS = (".npy", ".npz")
ARRAY = "frames"
"""Array of an NPZ file that is read where there are several, as in a bundle's `reference.npz`."""
SHOWN = 8
"""Channels named in a message."""


def read_rows(source: Path | TextIO, frame: Frame, skip: int = 0) -> Iterator[Array]:
    """Return the rows of `source`, each as samples `(S, C)`: S is 1, or all that make a frame.

    Lines come out as they come in, from a pipe that stays open, too.

    Args:
        source: a file of lines (`.csv`, `.tsv`, `.txt`) or arrays (`.npy`, `.npz`), or open text.
        frame: what a frame of the model is; a header may name its channels in any order.
        skip: rows at the start that are left out.

    Raises:
        UsageError: no such file, or one of another kind.
        StreamError: a row that no frame can be made of; the message has its line.
    """
    if not isinstance(source, Path):
        return _Lines(frame, "standard input").rows(source, skip)
    if not source.is_file():
        raise UsageError(f"no file {source}; name one that exists, or - for standard input")
    if source.suffix.lower() in ARRAYS:
        return _array_rows(source, frame, skip)
    if source.suffix.lower() in TEXT:
        return _file_rows(source, frame, skip)
    raise UsageError(
        f"{source}: a file of kind {source.suffix or '(none)'} cannot be read; there are: "
        f"{', '.join((*TEXT, *ARRAYS))}. Lines of any file: edgeseq run BUNDLE - < {source.name}"
    )


def _file_rows(path: Path, frame: Frame, skip: int) -> Iterator[Array]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from _Lines(frame, path.name).rows(lines, skip)


def _array_rows(path: Path, frame: Frame, skip: int) -> Iterator[Array]:
    try:
        arrays = read_arrays(path)
    except UnreadableError as error:
        raise StreamError(f"{path} {error}. Save it again with numpy.save") from None
    array = next(iter(arrays.values())) if len(arrays) == 1 else arrays.get(ARRAY)
    if array is None:
        raise StreamError(
            f'{path} holds {", ".join(arrays) or "nothing"}; save one array, or call it "{ARRAY}"'
        )
    widths = dict.fromkeys((len(frame.channels), frame.size))
    table = array[:, None] if array.ndim == 1 else array
    if table.ndim != 2 or table.shape[1] not in widths or table.dtype.kind not in "fiu":
        shapes = " or ".join(f"(rows, {width})" for width in widths)
        raise StreamError(
            f"{path} holds {array.dtype} of shape {array.shape}; a row is {_described(frame)}: "
            f"save numbers of shape {shapes}"
        )
    for number, values in enumerate(table[skip:], start=skip + 1):
        yield _checked(values, frame, f"{path.name}, row {number}")


class _Lines:
    """Lines of text on their way to rows: what the first one is decides how all are read."""

    def __init__(self, frame: Frame, name: str) -> None:
        self._frame, self._name = frame, name
        self._separator: str | None = None
        self._columns: list[int] | None = None
        """Where a header has each channel."""
        self._width = 0
        """Cells of every line; 0: not known yet."""

    def rows(self, lines: Iterable[str], skip: int) -> Iterator[Array]:
        """Yield the rows of `lines` after the first `skip` of them."""
        found = 0
        for number, text in enumerate(lines, start=1):
            line = text.lstrip("\ufeff") if number == 1 else text
            if not line.strip():
                continue
            if not self._width and self._begin(line, self._where(number)):
                continue
            found += 1
            if found > skip:
                yield self._row(line, self._where(number))

    def _where(self, number: int) -> str:
        return f"{self._name}, line {number}"

    def _begin(self, line: str, where: str) -> bool:
        """Learn from the first line how lines are cut; say whether it is a header."""
        if line.strip() not in self._frame.channels:  # else one name, with spaces in it perhaps
            self._separator = next((mark for mark in ",;\t" if mark in line), " ")
        cells = self._cells(line, where)
        self._columns = _header(cells, self._frame, where)
        self._width = len(cells)
        allowed = (len(self._frame.channels), self._frame.size)
        if self._columns is None and self._width not in allowed:
            raise StreamError(
                f"{where}: {_count(cells)}; a line is {_described(self._frame)}. "
                "Of a file with more columns, name the channels in a header"
            )
        return self._columns is not None

    def _cells(self, line: str, where: str) -> list[str]:
        match self._separator:
            case None:
                return [line.strip()]
            case " ":
                return line.split()
            case mark:
                try:
                    cells = next(csv.reader([line], delimiter=mark))
                except (csv.Error, StopIteration) as error:
                    raise StreamError(f"{where}: cannot be read: {error}") from None
                return [cell.strip() for cell in cells]

    def _row(self, line: str, where: str) -> Array:
        cells = self._cells(line, where)
        if len(cells) != self._width:
            raise StreamError(
                f"{where}: {_count(cells)}, where the lines before have {self._width}; "
                "correct the line"
            )
        chosen = cells if self._columns is None else [cells[index] for index in self._columns]
        try:
            values = np.array([float(cell or "nan") for cell in chosen])
        except ValueError:
            index = next(i for i, cell in enumerate(chosen) if cell and not _is_number(cell))
            raise StreamError(
                f"{where}: channel {_channel(self._frame, index)} is no number but "
                f'"{chosen[index][:40]}"; correct the line'
            ) from None
        return _checked(values, self._frame, where)


def _header(cells: list[str], frame: Frame, where: str) -> list[int] | None:
    """Return where a header has each channel, or none where the line holds values."""
    missing = [name for name in frame.channels if name not in cells]
    if missing and any(map(_is_number, cells)):
        return None
    if missing:
        close = difflib.get_close_matches(missing[0], cells, n=1)
        hint = f' (is it "{close[0]}"?)' if close else ""
        raise StreamError(
            f'{where}: the header has no column "{missing[0]}"{hint}; name the channels: '
            f"{_names(frame)}"
        )
    if twice := [name for name in frame.channels if cells.count(name) > 1]:
        raise StreamError(f'{where}: the header has "{twice[0]}" twice; rename one of the columns')
    return [cells.index(name) for name in frame.channels]


def _checked(values: NDArray[np.generic], frame: Frame, where: str) -> Array:
    """Return a row's values as samples of float32; refuse what is not finite, or no token."""
    with np.errstate(over="ignore"):
        row: Array = values.astype(np.float32)
    if not np.isfinite(row).all():
        index = int(np.argmin(np.isfinite(row)))
        raise StreamError(
            f"{where}: channel {_channel(frame, index)} is {values[index]}, which would stay in "
            "the state; it was not fed. Fill the gap with a number"
        )
    known = len(frame.vocabulary)
    if known and len(unknown := row[~np.isin(row, np.arange(known))]):
        raise StreamError(f"{where}: {unknown[0]:g} is no token; there are 0 to {known - 1}")
    return row.reshape(-1, len(frame.channels))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _channel(frame: Frame, index: int) -> str:
    return frame.channels[index % len(frame.channels)]


def _names(frame: Frame) -> str:
    more = " …" if len(frame.channels) > SHOWN else ""
    return ", ".join(frame.channels[:SHOWN]) + more


def _count(cells: list[str]) -> str:
    return f"{len(cells)} value{'s' if len(cells) > 1 else ''}"


def _described(frame: Frame) -> str:
    """Say what a row is."""
    sample = f"one sample of {len(frame.channels)} ({_names(frame)})"
    return f"{sample} or one frame of {frame.size}" if frame.samples > 1 else sample
