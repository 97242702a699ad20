"""A stream on disk: stopped here, gone on with there, as if never interrupted, bit for bit.

An NPZ file; `export/README.md` has its page.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.errors import StreamError, UsageError
from edgeseq.files import sha256, write_bytes
from edgeseq.runtime.buffers import Array
from edgeseq.runtime.stream import StreamSession
from edgeseq.tasks.tables import UnreadableError, read_arrays

VERSION = 1


@dataclass(frozen=True)
class SavedStream:
    """One stream between two frames."""

    model: str
    """SHA-256 of the ONNX file that it ran through: no other file can go on with it."""
    frames: int
    """Frames since the reset."""
    pending: Array
    """`(S, C)` samples that came after the last frame and make none yet."""
    states: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Every state tensor by its input name, N = 1."""

    def save(self, path: Path) -> None:
        """Write it to `path`, atomically."""
        said = {"version": VERSION, "model": self.model, "frames": self.frames}
        arrays: dict[str, Any] = {f"state.{name}": array for name, array in self.states.items()}
        arrays |= {"stream": np.array(json.dumps(said)), "pending": self.pending}
        file = io.BytesIO()
        np.savez(file, **arrays)
        write_bytes(path, file.getvalue())

    @classmethod
    def load(cls, path: Path) -> "SavedStream":
        """Read the file at `path`; raise `StreamError` where it holds no stream."""
        try:
            arrays = read_arrays(path)
            said = json.loads(str(arrays.pop("stream")))
            pending = np.asarray(arrays.pop("pending"), np.float32)
            states = {name.removeprefix("state."): array for name, array in arrays.items()}
            found = cls(str(said["model"]), int(said["frames"]), pending, states)
            known = said["version"] == VERSION
        except (UnreadableError, KeyError, TypeError, ValueError) as error:
            raise StreamError(
                f"{path} holds no saved stream ({error}). Delete it to begin anew, or name another"
            ) from None
        if not known:
            raise StreamError(
                f"{path}: version {said['version']} is unknown; this edgeseq reads version "
                f"{VERSION}. Upgrade edgeseq, or delete the file to begin anew"
            )
        return found

    def require_of(self, session: StreamSession, path: Path) -> None:
        """Raise `StreamError` where `session` cannot go on with what is at `path`."""
        source, contract = session.model.source, session.contract
        if self.model != fingerprint(session):
            raise StreamError(
                f"{path} is the stream of another model than {source}; "
                "run that model, or name another file for this one"
            )
        names = {state.input for state in contract.states}
        channels = (len(contract.frame.channels),)
        if self.states.keys() != names or self.pending.shape[1:] != channels:
            raise StreamError(f"{path} does not fit {source}. Delete it to begin anew")


def resume(path: Path, session: StreamSession) -> SavedStream | None:
    """Return the stream at `path` that `session` can go on with, or none where no file is yet.

    Raises:
        UsageError: the model has no state to keep.
        StreamError: the file holds none, or one of another model.
    """
    if not session.contract.states:
        raise UsageError(f"{session.model.source} has no state to keep; export it with --form step")
    if not path.exists():
        return None
    saved = SavedStream.load(path)
    saved.require_of(session, path)
    return saved


def fingerprint(session: StreamSession) -> str:
    """Return the SHA-256 of the ONNX file that `session` runs."""
    return sha256(Path(session.model.source))
