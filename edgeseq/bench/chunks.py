"""Latency against the frames of a call: what a call costs before its first frame is computed."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array, Progress
from edgeseq.bench.latency import pinned
from edgeseq.errors import UsageError

SIZES = (1, 2, 4, 8, 16, 32, 64)
CALLS = 20
"""Calls behind one median of a round."""


class Runner(Protocol):
    """A stream that is open and takes chunks; `StreamSession` is one."""

    def run(self, frames: Array, /) -> object:
        """Feed a chunk `(T, F)`; the state is carried from call to call."""


@dataclass(frozen=True)
class Advice:
    """A chunk for a frame rate and a deadline."""

    frames: int
    """Frames `T` to collect for one call."""
    oldest_ms: float
    """From the arrival of a chunk's first frame to the answers: waiting, then computing."""
    busy: float
    """Share of a core that calls of this size keep busy, 0 to 1; hot, so a lower bound."""


@dataclass(frozen=True)
class ChunkFit:
    """The line `latency(T) = overhead + T * frame` through medians of calls of several sizes."""

    sizes: tuple[int, ...]
    median_us: tuple[float, ...]
    """Median of one call at each size."""
    overhead_us: float
    """`a`: what a call costs apart from its frames."""
    overhead_low_us: float
    overhead_high_us: float
    """Ends of its 95 % interval."""
    frame_us: float
    """`b`: what one more frame costs."""
    frame_low_us: float
    frame_high_us: float
    """Ends of its 95 % interval."""
    misfit: float
    """Largest deviation of a median from the line, as a share of the median."""

    def advise(self, rate_hz: float, deadline_ms: float) -> Advice | None:
        """Return the largest measured chunk whose first frame is answered in time; none: none is.

        A larger chunk shares the call's overhead among more frames, but its first frame waits
        for the last one. Medians are used, not the line.
        """
        period_ms = 1000 / rate_hz
        for size, median in sorted(zip(self.sizes, self.median_us, strict=True), reverse=True):
            oldest, busy = (size - 1) * period_ms + median / 1e3, median / 1e3 / (size * period_ms)
            if oldest <= deadline_ms and busy <= 1:
                return Advice(size, round(oldest, 3), round(busy, 5))
        return None


def measure_chunks(
    open_runner: Callable[[], AbstractContextManager[Runner]],
    frames: Array,
    *,
    sizes: Sequence[int] = SIZES,
    rounds: int = 20,
    pin: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> ChunkFit:
    """Time calls of each size on the stream `frames` `(T, F)`, the sizes in turns, and fit a line.

    Raises:
        UsageError: there are fewer than two sizes, so there is no line.
    """
    if len(set(sizes)) < 2:
        raise UsageError("a line needs two chunk sizes at least; this model takes only one")
    stream = np.resize(np.ascontiguousarray(frames), (max(sizes) * CALLS, frames.shape[1]))
    chunks = {size: [stream[i * size : (i + 1) * size] for i in range(CALLS)] for size in sizes}
    rng = np.random.default_rng(seed)
    medians = np.empty((rounds, len(sizes)))
    with pinned(pin), open_runner() as runner:
        for size in sizes:
            _median(runner, chunks[size], clock)  # binds its buffers, warms up
        for done, row in enumerate(medians):
            for index in rng.permutation(len(sizes)):
                runner.run(chunks[sizes[index]][-1])  # after the other sizes, not timed
                row[index] = _median(runner, chunks[sizes[index]], clock)
            if progress:
                progress(done + 1, rounds)
    return fit(tuple(sizes), medians / 1e3, seed=seed)


def _median(runner: Runner, chunks: Sequence[Array], clock: Callable[[], int]) -> float:
    run, times = runner.run, []
    for chunk in chunks:
        begin = clock()
        run(chunk)
        times.append(clock() - begin)
    return float(np.median(times))


def fit(
    sizes: tuple[int, ...],
    rounds_us: NDArray[np.float64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> ChunkFit:
    """Fit the line to medians `(rounds, sizes)`; its interval is a bootstrap over rounds."""
    count = len(rounds_us)
    median = np.median(rounds_us, axis=0)
    draws = np.random.default_rng(seed).integers(count, size=(resamples, count))
    lines = _lines(sizes, np.median(rounds_us[draws], axis=1))  # (resamples, 2)
    (a_low, b_low), (a_high, b_high) = np.quantile(lines, (0.025, 0.975), axis=0)
    ((a, b),) = _lines(sizes, median[None])
    off = np.abs(a + b * np.asarray(sizes) - median) / median
    return ChunkFit(
        sizes=sizes,
        median_us=tuple(_short(value) for value in median),
        overhead_us=_short(a),
        overhead_low_us=_short(a_low),
        overhead_high_us=_short(a_high),
        frame_us=_short(b),
        frame_low_us=_short(b_low),
        frame_high_us=_short(b_high),
        misfit=round(float(off.max()), 4),
    )


def _lines(sizes: Sequence[int], medians: NDArray[Any]) -> NDArray[np.float64]:
    """Return `a` and `b` for each row of `medians` `(rows, sizes)`.

    Least squares of relative errors, by the normal equations: a long call must not decide alone.
    """
    weights = 1 / medians
    columns = np.stack([weights, np.asarray(sizes) * weights], axis=-1)  # (rows, sizes, 2)
    squares, sums = np.swapaxes(columns, 1, 2) @ columns, columns.sum(axis=1)
    found: NDArray[np.float64] = np.linalg.solve(squares, sums[..., None])[..., 0]
    return found


def _short(value: float) -> float:
    return round(float(value), 3)
