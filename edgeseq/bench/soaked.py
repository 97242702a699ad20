"""What a soak works on, reads and notes: the stream, the instruments, the windows."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array
from edgeseq.bench.pace import Clock

ROLLUP = Path("/proc/self/smaps_rollup")


def taken() -> int | None:
    """Return the bytes of memory that this process wrote to, swapped out or not, or none.

    Not resident memory: pages of libraries come and go with what other processes do.
    """
    try:
        lines = ROLLUP.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kib = [int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:"))]
    return 1024 * sum(kib) if kib else None


class Soakable(Protocol):
    """A stream that is open, can be reset, and shows its state; `StreamSession` is one."""

    def step(self, frame: Array, /) -> Array:
        """Feed one frame `(F,)` and return the outputs `(C,)`."""

    def reset(self) -> None:
        """Forget all frames."""

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Every state tensor by name."""


@dataclass(frozen=True)
class Soaked:
    """What is soaked."""

    name: str
    open: Callable[[], AbstractContextManager[Soakable]]
    """Opens it afresh, weights included; the control is opened by it, too."""
    frames: Array
    """Its stream `(T, F)`, which repeats as long as needed: a lap is T frames."""
    scale: float = 1.0
    """RMS of its outputs, which drift is a share of."""
    negligible_drift: float = 1e-6
    """Difference to the control, as a share of the RMS, that counts as none."""


@dataclass(frozen=True)
class Pairs:
    """The steps at the end of a window in which soaked session and control alternate."""

    count: int
    """Pairs of blocks; who goes first alternates."""
    block: int
    """Timed steps in a block."""
    settle: int
    """Steps before a block that are not timed: the other session used the caches."""

    @property
    def steps(self) -> int:
        """Steps of each session."""
        return self.count * (self.block + self.settle)


@dataclass(frozen=True)
class Instruments:
    """Where a soak takes its figures from; a test passes ones that only count."""

    clock: Clock = field(default_factory=Clock)
    memory: Callable[[], int | None] = taken
    """Bytes that the process has taken, or none where the system does not tell."""


@dataclass
class Windows:
    """Every window's figures, allocated and touched at the start; `count` are filled."""

    steps: NDArray[np.float64]
    """Steps of the soaked session up to the window's end."""
    ratio: NDArray[np.float64]
    p50_us: NDArray[np.float64]
    p99_us: NDArray[np.float64]
    control_us: NDArray[np.float64]
    memory_kib: NDArray[np.float64]
    """Growth in this stream's own turns up to the window's end; NaN: the system does not tell."""
    drift: NDArray[np.float64]
    states: NDArray[np.float64]
    """Largest magnitude of each state tensor over the control's `(windows, tensors)`."""
    count: int = 0

    @classmethod
    def empty(cls, most: int, tensors: int) -> "Windows":
        """Return room for `most` windows."""
        room = [np.full(most, np.nan) for _ in range(7)]
        states = np.full((most, tensors), np.nan)
        return cls(room[0], room[1], room[2], room[3], room[4], room[5], room[6], states)
