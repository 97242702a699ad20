"""Where outcomes are kept: a folder of JSON files, small enough to commit, that any machine reads.

Every visit begins a file of its own, and another when that is full, so that what two machines
found lies side by side in one folder. A file is written anew, atomically, for each outcome: a
kill loses nothing.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgeseq import files
from edgeseq.claims.cell import Cell, Outcome, Result
from edgeseq.errors import EdgeseqError

SCHEMA = 1
LARGEST = 190_000
"""Bytes a file; a file to be committed has at most 200 kB."""
PATTERN = "cells-*.json"


class Store:
    """All outcomes of a folder, by the key of their cell."""

    def __init__(self, folder: Path, about: Mapping[str, Any] | None = None) -> None:
        """Read what is there.

        Args:
            folder: need not exist.
            about: machine and versions, written at the head of the files of this visit.

        Raises:
            EdgeseqError: a file is no file of cells.
        """
        self.folder, self.about = folder, dict(about or {})
        self.outcomes: dict[str, Outcome] = {}
        self.machines: list[Mapping[str, Any]] = []
        """What the files say of where they were made, each once."""
        self._rows: list[str] = []
        self._size = 0
        self._path: Path | None = None
        for path in sorted(folder.glob(PATTERN)):
            self._read(path)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __contains__(self, cell: Cell) -> bool:
        return cell.key in self.outcomes

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes.values())

    def get(self, cell: Cell) -> Result | None:
        """Return a cell's result; none where it is missing or failed."""
        outcome = self.outcomes.get(cell.key)
        return None if outcome is None or outcome.failed else outcome.result

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, on disk when this returns."""
        cell = outcome.cell
        row = json.dumps(
            {
                "key": cell.key,
                "kind": cell.kind,
                "settings": dict(cell.settings),
                "result": dict(outcome.result),
                "seconds": round(outcome.seconds, 2),
            },
            ensure_ascii=False,
            allow_nan=False,
        )
        size = len(row.encode()) + 2
        if self._path is None or self._size + size > LARGEST:
            self._path = self._next()
            self._rows, self._size = [], len(json.dumps(self.about)) + 100
        self._rows.append(row)
        self._size += size
        head = json.dumps({"schema": SCHEMA, "about": self.about}, ensure_ascii=False)
        rows = ",\n".join(self._rows)
        files.write_text(self._path, f'{head[:-1]}, "cells": [\n{rows}\n]}}\n')
        self.outcomes[cell.key] = outcome

    def _next(self) -> Path:
        taken = [int(path.stem.rpartition("-")[2]) for path in self.folder.glob(PATTERN)]
        return self.folder / f"cells-{max(taken, default=0) + 1:04d}.json"

    def _read(self, path: Path) -> None:
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            for row in table["cells"] if table["schema"] == SCHEMA else _unknown(table["schema"]):
                cell = Cell(row["kind"], row["settings"])
                if cell.key == row["key"]:  # else it follows an older protocol
                    self.outcomes[cell.key] = Outcome(cell, row["result"], row["seconds"])
            if table["about"] and table["about"] not in self.machines:
                self.machines.append(table["about"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EdgeseqError(
                f"{path} is no file of cells ({type(error).__name__}: {error}); move it out of "
                "the folder and run the same command again"
            ) from None


def _unknown(schema: object) -> list[Any]:
    raise ValueError(f"schema {schema!r} is unknown")
