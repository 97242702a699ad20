"""Writing files so that a crash leaves the old ones, and knowing them by hash."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeseq.errors import EdgeseqError


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of the file at `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step: readers see the old file or the new one, never half."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write `value` to `path` as readable JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def staged_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path` that takes its place when the block succeeds.

    If the block raises, or the process is killed inside it, what was at `path` is untouched; if
    it is killed between the two renames of the swap, `restore` puts the old directory back.
    """
    staging = _beside(path, "new")
    try:
        restore(path)
        shutil.rmtree(staging, ignore_errors=True)  # left by a killed run
        staging.mkdir(parents=True)
        yield staging
        _swap(staging, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def restore(path: Path) -> None:
    """Finish or undo a directory swap that a kill interrupted; otherwise do nothing."""
    old = _beside(path, "old")
    if not old.is_dir():
        return
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(path)


def _swap(new: Path, path: Path) -> None:
    old = _beside(path, "old")
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    finally:
        restore(path)


def _beside(path: Path, what: str) -> Path:
    return path.absolute().parent / f".{path.absolute().name}.{what}"


def _cannot_write(path: Path, error: OSError) -> EdgeseqError:
    return EdgeseqError(
        f"cannot write {path}: {error.strerror or error}. Nothing that was there is lost; "
        "make room or choose another place, then run the same command again"
    )
