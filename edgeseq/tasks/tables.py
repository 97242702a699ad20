"""Recordings of the user's, read from CSV, NPZ or NPY files as named columns."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".csv", ".npz", ".npy")

Columns = dict[str, NDArray[Any]]
"""Name → `(T,)` values, or `()` where one value holds for the whole recording."""


class UnreadableError(Exception):
    """A file cannot be read; `key` is what in the TOML says so, the message says why."""

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        super().__init__(why)


@dataclass(frozen=True)
class Layout:
    """How files without column names are to be read."""

    inputs: tuple[str, ...]
    extra: tuple[str, ...]
    """Columns behind the inputs in an NPY file."""
    array: str | None
    """Array of an NPZ file that holds all inputs."""


def find_files(folder: Path, patterns: Sequence[str]) -> dict[str, list[Path]]:
    """Return for each pattern, relative to `folder`, the files that it matches, sorted."""
    found = {}
    for pattern in patterns:
        anchor = Path(pattern).anchor
        relative = str(Path(pattern).relative_to(anchor)) if anchor else pattern
        root = Path(anchor) if anchor else folder
        try:
            found[pattern] = sorted(path for path in root.glob(relative) if path.is_file())
        except (ValueError, IndexError):  # no pattern at all, such as "", "." or "a**"
            found[pattern] = []
    return found


def read_tables(path: Path, layout: Layout) -> list[Columns]:
    """Return the recordings in `path`: one, or N where an NPZ array is `(N, T, C)`.

    Raises:
        UnreadableError: It is damaged, or has another shape than `layout` says.
    """
    try:
        match path.suffix.lower():
            case ".csv":
                return [_read_csv(path)]
            case ".npz":
                return _read_npz(path, layout)
            case _:
                return [_read_npy(path, layout)]
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableError("files", f"cannot be read: {_one_line(error)}") from None


def _read_csv(path: Path) -> Columns:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file) if row] or [[]]
    if not rows:
        raise ValueError("it has no rows below its header")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(header)}")
    cells = np.array(rows, str).reshape(len(rows), len(header))
    return {name.strip(): cells[:, index] for index, name in enumerate(header)}


def _read_npy(path: Path, layout: Layout) -> Columns:
    array = read_arrays(path)[""]
    names = (*layout.inputs, *layout.extra)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise UnreadableError(
            "inputs", f"shape {array.shape} is not (T, {len(names)}) for {', '.join(names)}"
        )
    return dict(zip(names, array.T, strict=True))


def _read_npz(path: Path, layout: Layout) -> list[Columns]:
    arrays = read_arrays(path)
    if layout.array is None:
        return [arrays]
    block = arrays.pop(layout.array, None)
    if block is None:
        raise UnreadableError("array", f'no array "{layout.array}"; it has: {", ".join(arrays)}')
    channels = len(layout.inputs)
    if block.ndim not in (2, 3) or block.shape[-1] != channels:
        wanted = f"(T, {channels}) or (N, T, {channels})"
        raise UnreadableError("array", f'"{layout.array}" has shape {block.shape}, not {wanted}')
    if block.ndim == 2:
        return [arrays | _named(layout.inputs, block)]
    return [
        {name: _of_recording(values, index, len(block)) for name, values in arrays.items()}
        | _named(layout.inputs, block[index])
        for index in range(len(block))
    ]


def read_arrays(path: Path) -> Columns:
    """Return the arrays of an NPZ file by name, or that of an NPY file under an empty name.

    Raises:
        UnreadableError: It is damaged.
    """
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"": found}
            return {name: _text(found[name]) for name in found.files}
    except Exception as error:  # damaged files make NumPy, zipfile and zlib raise almost anything
        raise UnreadableError("files", f"cannot be read: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _text(values: NDArray[Any]) -> NDArray[Any]:
    """Decode byte strings, which older NumPy files hold."""
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


def _of_recording(values: NDArray[Any], index: int, count: int) -> NDArray[Any]:
    """Return what an array says of recording `index`: its row, or what holds for all `count`."""
    return np.asarray(values[index]) if values.shape[:1] == (count,) else values


def _named(names: tuple[str, ...], block: NDArray[Any]) -> Columns:
    return dict(zip(names, block.T, strict=True))
