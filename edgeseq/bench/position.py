"""What a step costs after so many frames: its time, and the state that it carries.

A bounded state costs the same for ever. One that grows, or frames that are computed anew, do not:
here that is seen, on the same frames and in turns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array
from edgeseq.errors import UsageError
from edgeseq.runtime import StreamModel, StreamSession

POSITIONS = (16, 64, 256, 1024)
"""Frames since the reset at which a step is timed."""
AROUND = 8
"""Steps up to a position of which the median is taken: one step may be disturbed."""


@dataclass(frozen=True)
class PositionCost:
    """One model's steps by their place in the stream."""

    name: str
    positions: tuple[int, ...]
    """Frames since the reset, this one included."""
    step_us: tuple[float, ...]
    """Of each position, the median over rounds of the median of the last steps up to it."""
    state_kib: tuple[float, ...]
    """Of each position, what the state of the stream takes after it."""
    rounds: int


def measure_positions(
    models: Mapping[str, StreamModel],
    frames: Array,
    *,
    positions: Sequence[int] = POSITIONS,
    rounds: int = 5,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[PositionCost, ...]:
    """Stream `frames` `(T, F)`, over and over, from a reset state up to the last position.

    Every round streams all models once, one after the other; the round before the first warms up.

    Raises:
        UsageError: there is no position, or one is below 1.
        StreamError: a model cannot be stepped.
    """
    if not positions or min(positions) < 1 or rounds < 1:
        raise UsageError("positions and rounds must be at least 1")
    rows = list(np.resize(frames, (max(positions), frames.shape[1])).astype(np.float32))
    sessions = {name: StreamSession(model) for name, model in models.items()}
    sizes = {name: _sizes(session, rows, positions) for name, session in sessions.items()}
    times: dict[str, list[list[float]]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            elapsed = _stream(session, rows, clock)
            parts = (elapsed[max(0, position - AROUND) : position] for position in positions)
            times[name].append([float(np.median(part)) / 1e3 for part in parts])
    return tuple(
        PositionCost(name, tuple(positions), _rounded(np.median(own, axis=0)), sizes[name], rounds)
        for name, own in times.items()
    )


def _sizes(
    session: StreamSession, rows: Sequence[Array], positions: Sequence[int]
) -> tuple[float, ...]:
    """Stream once; return the KiB of the state at each position."""
    found = {}
    for position, row in enumerate(rows, 1):
        session.step(row)
        if position in positions:
            found[position] = sum(array.nbytes for array in session.state.values()) / 1024
    return _rounded([found[position] for position in positions])


def _stream(
    session: StreamSession, rows: Sequence[Array], clock: Callable[[], int]
) -> NDArray[np.int64]:
    session.reset()
    elapsed = np.empty(len(rows), np.int64)
    for index, row in enumerate(rows):
        begin = clock()
        session.step(row)
        elapsed[index] = clock() - begin
    return elapsed


def _rounded(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in values)
