"""What was found out already, by what it depends on: long work that is interrupted goes on."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgeseq.errors import EdgeseqError
from edgeseq.stored import StoredResult

Finding = TypeVar("Finding", bound=StoredResult)


class Kept(Generic[Finding]):
    """A folder with one JSON a finding, named by the hash of all that the finding depends on."""

    def __init__(self, folder: Path, kind: type[Finding]) -> None:
        self._folder, self._kind = folder, kind
        self.found = 0
        """Findings that were read, not made."""

    def get(self, key: Mapping[str, Any], make: Callable[[], Finding]) -> Finding:
        """Return what is kept under `key`, or what `make` returns, which is kept from now on.

        A file that cannot be read, or is of another form, is no finding: it is made again.
        """
        file = self._folder / f"{digest({'schema': self._kind.VERSION, **key})}.json"
        if file.exists():
            try:
                finding = self._kind.load(file)
            except EdgeseqError:
                pass  # cut, edited, or of another release
            else:
                self.found += 1
                return finding
        finding = make()
        finding.save(file)
        return finding


def digest(key: Mapping[str, Any]) -> str:
    """Return the hex SHA-256 of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
