"""What an answer costs after so many frames: its time, and what is carried from call to call.

A bounded state costs the same for ever. One that grows, or frames that are computed anew, do not:
here that is seen, on the same frames and in turns.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeseq.bench.candidate import Array
from edgeseq.bench.latency import turns
from edgeseq.bench.stats import Spread, spread
from edgeseq.errors import UsageError
from edgeseq.runtime import StreamModel, StreamSession

POSITIONS = (16, 64, 256, 1024)
"""Frames since the reset at which a step is timed."""
AROUND = 8
"""Steps up to a position of which the median is taken: one step may be disturbed."""
SETTLE = 20
"""Steps before a timed stream: the model before used the caches."""


@dataclass(frozen=True)
class PositionCost:
    """One model's answers by their place in the stream."""

    name: str
    positions: tuple[int, ...]
    """Frames since the reset, this one included."""
    step_us: tuple[float, ...]
    """Of each position, the median over rounds; of a graph that is stepped, of the median of the
    last steps up to it."""
    low_us: tuple[float, ...]
    high_us: tuple[float, ...]
    """Ends of the medians' 95 % intervals."""
    state_kib: tuple[float, ...]
    """Of each position, what is carried to the next frame: the state of the stream, or all frames
    so far where there is none."""
    rounds: int


def measure_positions(
    models: Mapping[str, StreamModel],
    frames: Array,
    *,
    positions: Sequence[int] = POSITIONS,
    rounds: int = 5,
    around: int = AROUND,
    seed: int = 0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[PositionCost, ...]:
    """Stream `frames` `(T, F)`, over and over, from a reset state up to the last position.

    A graph without state runs the whole past at each position, and is timed the second time. Every
    round streams all models once, in random order; the round before the first warms up.

    Raises:
        UsageError: there is no position, or one is below 1.
        StreamError: a graph with a state cannot be stepped.
    """
    if not positions or min(positions) < 1 or min(rounds, around) < 1:
        raise UsageError("positions, rounds and around must be at least 1")
    rows = np.resize(frames, (max(positions), frames.shape[1])).astype(np.float32)
    kinds = {
        name: _Whole if m.contract.form == "sequence" else _Steps for name, m in models.items()
    }
    runs = {name: kinds[name](StreamSession(m), rows, clock) for name, m in models.items()}
    times: dict[str, list[list[float]]] = {name: [] for name in runs}
    for order in turns(tuple(runs), rounds + 1, seed):
        for name in order:
            times[name].append(runs[name].time(positions, around))
    return tuple(_cost(name, positions, times[name][1:], run) for name, run in runs.items())


class _Steps:
    """A stream that is stepped from its reset."""

    def __init__(self, session: StreamSession, rows: Array, clock: Callable[[], int]) -> None:
        self._session, self._rows, self._clock = session, list(rows), clock

    def time(self, positions: Sequence[int], around: int) -> list[float]:
        """Stream once; return the nanoseconds at each position."""
        session, clock = self._session, self._clock
        for row in self._rows[:SETTLE]:
            session.step(row)
        session.reset()
        elapsed = np.empty(len(self._rows), np.int64)
        for index, row in enumerate(self._rows):
            begin = clock()
            session.step(row)
            elapsed[index] = clock() - begin
        return [float(np.median(elapsed[max(0, at - around) : at])) for at in positions]

    def carried(self, positions: Sequence[int]) -> list[int]:
        """Stream once; return the bytes of the state at each position."""
        found = {}
        self._session.reset()
        for position, row in enumerate(self._rows, 1):
            self._session.step(row)
            if position in positions:
                found[position] = sum(array.nbytes for array in self._session.state.values())
        return [found[position] for position in positions]


class _Whole:
    """A graph without state, which computes the whole past at every frame."""

    def __init__(self, session: StreamSession, rows: Array, clock: Callable[[], int]) -> None:
        self._session, self._rows, self._clock = session, rows, clock

    def time(self, positions: Sequence[int], around: int) -> list[float]:
        """Run the past of each position; return the nanoseconds."""
        del around  # each run is as long as many steps
        times = []
        for position in positions:
            past = np.ascontiguousarray(self._rows[:position])
            self._session.run(past)
            begin = self._clock()
            self._session.run(past)
            times.append(float(self._clock() - begin))
        return times

    def carried(self, positions: Sequence[int]) -> list[int]:
        """Return the bytes of the frames at each position."""
        return [self._rows[:position].nbytes for position in positions]


def _cost(
    name: str, positions: Sequence[int], rounds: Sequence[Sequence[float]], run: _Steps | _Whole
) -> PositionCost:
    found: list[Spread] = [spread(column) for column in np.transpose(rounds) / 1e3]
    return PositionCost(
        name=name,
        positions=tuple(positions),
        step_us=tuple(item.median for item in found),
        low_us=tuple(item.low for item in found),
        high_us=tuple(item.high for item in found),
        state_kib=tuple(round(size / 1024, 3) for size in run.carried(positions)),
        rounds=len(rounds),
    )
