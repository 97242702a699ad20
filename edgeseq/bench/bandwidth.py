"""How fast one core moves bytes, by how many there are: from its first cache to memory.

The kernels are those of STREAM (McCalpin, 1995) that NumPy has in one pass; as there, what a cache
fetches in order to write is not counted. One timed call goes over its arrays many times, in C: to
call NumPy takes longer than to read a first cache.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from edgeseq.bench.stats import Spread, spread

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
MEMORY = "memory"
KIB = 1024
CALL_BYTES = 2**22
"""Bytes that one call moves, at least."""
LINE = 64
"""Bytes of a cache line, by which rows that are written lie apart; values are 4 bytes each."""
_UNITS = {"K": KIB, "M": KIB**2, "G": KIB**3}

Array = NDArray[np.float32]
Run = Callable[[], object]


@dataclass(frozen=True)
class Cache:
    """One level of the caches for data."""

    level: str
    """`L1`, `L2`, `L3`."""
    kib: int


@dataclass(frozen=True)
class Bandwidth:
    """What one working set was moved at, in 10⁹ bytes a second."""

    kib: int
    """All arrays of a kernel together."""
    level: str
    """The first cache that holds so much, or `memory`."""
    read: Spread
    """Two arrays, a product of vectors."""
    copy: Spread
    """One array to another."""
    add: Spread
    """The sum of two arrays to a third: what STREAM's triad moves."""

    @property
    def best(self) -> float:
        """The fastest kernel's median."""
        return max(self.read.median, self.copy.median, self.add.median)


def read_caches(folder: Path = CACHES) -> tuple[Cache, ...]:
    """Return the caches for data of the first core, smallest first; none where Linux is not."""
    found = []
    for index in folder.glob("index*"):
        try:
            kind, level, size = (
                (index / name).read_text(encoding="ascii").strip()
                for name in ("type", "level", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            found.append(Cache(f"L{level}", _bytes(size) // KIB))
    return tuple(sorted(found, key=lambda cache: cache.kib))


def level_of(kib: int, caches: Sequence[Cache]) -> str:
    """Return the first cache that holds `kib`, or `memory`."""
    return next((cache.level for cache in caches if kib <= cache.kib), MEMORY)


def measure_bandwidths(
    sizes: Sequence[int],
    rounds: int,
    *,
    caches: Sequence[Cache],
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[Bandwidth, ...]:
    """Time every kernel on working sets of `sizes` KiB, once a round, in turns.

    The call before a timed one is not timed: it brings the arrays to where they fit.
    """
    kernels = {size: _kernels(size * KIB) for size in sizes}
    rates: dict[tuple[int, str], list[float]] = {}
    for _ in range(rounds):
        for size, own in kernels.items():
            for name, (run, moved) in own.items():
                run()
                begin = clock()
                run()
                rates.setdefault((size, name), []).append(moved / (clock() - begin))
    return tuple(
        Bandwidth(size, level_of(size, caches), *(spread(rates[size, name]) for name in own))
        for size, own in kernels.items()
    )


def _kernels(size: int) -> Mapping[str, tuple[Run, int]]:
    """Return read, copy and add on arrays of `size` bytes together, and what a call moves."""
    times = max(1, CALL_BYTES // size)
    writes = max(1, min(times, size // LINE // 2))  # rows that are written reach so much further
    return {
        "read": _reading(_values(size, 2), times),
        "copy": _copying(_values(size, 2), writes),
        "add": _adding(_values(size, 3), writes),
    }


def _values(size: int, arrays: int) -> int:
    """Return the values of each of so many arrays: whole cache lines."""
    return max(1, size // arrays // LINE) * LINE // 4


def _reading(values: int, times: int) -> tuple[Run, int]:
    first = np.broadcast_to(_aligned(values), (times, 1, values))
    second = np.broadcast_to(_aligned(values)[:, None], (times, values, 1))
    out = np.empty((times, 1, 1), np.float32)
    return lambda: np.matmul(first, second, out=out), times * values * 8


def _copying(values: int, times: int) -> tuple[Run, int]:
    source, target = np.broadcast_to(_aligned(values), (times, values)), _written(values, times)
    return lambda: np.copyto(target, source), times * values * 8


def _adding(values: int, times: int) -> tuple[Run, int]:
    first, second = (np.broadcast_to(_aligned(values), (times, values)) for _ in range(2))
    target = _written(values, times)
    return lambda: np.add(first, second, out=target), times * values * 12


def _written(values: int, times: int) -> Array:
    """Return rows that begin one line after the other: as NumPy would not write one row twice."""
    return as_strided(_aligned(values + times * LINE // 4), (times, values), (LINE, 4))


def _aligned(values: int) -> Array:
    """Return ones that begin with a cache line."""
    raw = np.ones(values + LINE // 4, np.float32)
    start = -raw.ctypes.data % LINE // 4
    return raw[start : start + values]


def _bytes(text: str) -> int:
    """Read a size as Linux writes it: `32K`."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1:] in _UNITS else int(text)
