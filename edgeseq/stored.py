"""Results as data: a dataclass that is kept as JSON with the version of its own form."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from edgeseq.errors import ConfigError, EdgeseqError
from edgeseq.files import write_json
from edgeseq.specs import parse


@dataclasses.dataclass(frozen=True)
class StoredResult:
    """Base of every result that a command leaves; `schema` is the first key of its JSON."""

    VERSION: ClassVar[int]
    """The form that this edgeseq reads and writes."""
    COMMAND: ClassVar[str]
    """What makes such a result."""

    schema: int
    """Version of the result's own form."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        table: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return table

    def save(self, path: Path) -> None:
        """Write the result to `path` as JSON, atomically."""
        write_json(path, self.to_json())

    @classmethod
    def from_json(cls, table: Mapping[str, Any], *, where: str) -> Self:
        """Read a result; other versions and unknown keys are an `EdgeseqError`."""
        if table.get("schema") != cls.VERSION:
            raise EdgeseqError(
                f"{where}: schema {table.get('schema')!r} is unknown; this edgeseq reads schema "
                f"{cls.VERSION}. Upgrade edgeseq, or measure again with: {cls.COMMAND}"
            )
        try:
            return parse(table, cls, where=where)
        except ConfigError as error:
            raise EdgeseqError(str(error)) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file at `path`; raise `EdgeseqError` when it holds no such result."""
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EdgeseqError(
                f"cannot read the result {path}: {error}. Make one with: {cls.COMMAND}"
            ) from None
        if not isinstance(table, dict):
            raise EdgeseqError(f"{path} is not a result of: {cls.COMMAND}")
        return cls.from_json(table, where=str(path))
