"""A cell: the smallest piece of evidence, known by what it is made from and by nothing else."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

PROTOCOL = 1
"""Raised when the same settings would give another result; older cells are then measured again."""

Result = Mapping[str, Any]
"""JSON values."""

Kind = Literal[
    "train", "tune", "quantized", "explain",
    "roofline", "achieved", "train-speed", "latency", "memory", "edge",
]  # fmt: skip
"""What is done; `edgeseq.workflows.claims.kinds` says by which function."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One training, or one measurement: a kind and its settings as JSON values."""

    kind: Kind
    settings: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """What it is called everywhere: 16 hexadecimal digits that follow from its content."""
        return digest([PROTOCOL, self.kind, self.settings])[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        said = (f"{name}={_said(value)}" for name, value in self.settings.items())
        return " ".join([self.kind, *said])


@dataclass(frozen=True)
class Outcome:
    """What became of a cell."""

    cell: Cell
    result: Result
    """Of the kind's function; `{"failed": why}` where it could not be."""
    seconds: float
    """How long it took, wherever it ran."""

    @property
    def failed(self) -> str:
        """Why there is no result; empty where there is one."""
        return str(self.result.get("failed", ""))


def digest(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def once(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return each cell once, in the order in which they were first named."""
    return tuple(dict.fromkeys(cells))


def _said(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
