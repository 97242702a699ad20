"""What is measured: something that can be opened afresh, and then takes frames."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.identity import identity_onnx
from edgeseq.contract import SessionSettings
from edgeseq.runtime import StreamModel, StreamSession

Array = NDArray[np.float32]
Progress = Callable[[int, int], object]
"""Called with (done, total) now and then."""
FLOOR = "floor"


class Stepper(Protocol):
    """A stream that is open; `StreamSession` is one."""

    def step(self, frame: Array, /) -> object:
        """Feed one frame `(F,)`; the state is carried from call to call."""


@dataclass(frozen=True)
class Candidate:
    """One of the things that are compared."""

    name: str
    open: Callable[[], AbstractContextManager[Stepper]]
    """Opens it afresh, weights included: where memory lies by chance is part of its latency."""
    frames: Array
    """Its stream `(T, F)`, which repeats as long as needed."""


def of_file(
    name: str, file: Path, frames: Array, *, provider: str, settings: SessionSettings
) -> Candidate:
    """Return a `StreamSession` on an ONNX file as a candidate."""

    def opened() -> StreamSession:
        return StreamSession(StreamModel.load(file, provider=provider, settings=settings))

    return Candidate(name, opened, frames)


def fixed(name: str, step: Callable[[Array], object], frames: Array) -> Candidate:
    """Return a candidate that is open already and stays so: `step` takes a frame of `frames`."""

    @contextmanager
    def already() -> Iterator[Stepper]:
        yield _Step(step)

    return Candidate(name, already, frames)


@contextmanager
def floor(*, provider: str = "cpu", settings: SessionSettings) -> Iterator[Candidate]:
    """Yield a `StreamSession` on a graph that does nothing: what lies below every model."""
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        file = Path(folder) / "identity.onnx"
        file.write_bytes(identity_onnx())
        frames = np.zeros((1, 1), np.float32)
        yield of_file(FLOOR, file, frames, provider=provider, settings=settings)


def nothing() -> Candidate:
    """Return the candidate that does nothing: what is left of a measurement is the harness."""
    return fixed("nothing", lambda frame: frame, np.zeros((1, 1), np.float32))


@dataclass(frozen=True)
class _Step:
    step: Callable[[Array], Any]
