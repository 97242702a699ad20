"""One step every 1/rate seconds, as an app runs it: cold caches, idle gaps, idle threads."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.latency import Array, Candidate, Progress, pinned
from edgeseq.bench.stats import Latency, summarise
from edgeseq.errors import UsageError


@dataclass(frozen=True)
class Clock:
    """Where a paced run takes its time from; a test passes one that only counts."""

    now: Callable[[], int] = time.perf_counter_ns
    """Nanoseconds, never going back."""
    sleep: Callable[[float], object] = time.sleep
    """Waits for some seconds."""
    cpu: Callable[[], int] = time.process_time_ns
    """Nanoseconds of CPU used by all threads of the process."""


@dataclass(frozen=True)
class PaceSettings:
    """How a paced run is done."""

    rate_hz: float
    """Frames per second."""
    seconds: float = 5.0
    """Duration for each candidate, all its segments together."""
    segments: int = 5
    """Turns that a candidate's duration is cut into; the candidates alternate."""
    settle: int = 3
    """Steps at the start of a segment that do not count."""
    pin: int | None = None
    """Core to stay on, or none."""

    def __post_init__(self) -> None:
        """Refuse a rate or a duration that is not positive."""
        if not (self.rate_hz > 0 and self.seconds > 0 and self.segments > 0):
            raise UsageError("rate, seconds and segments of a paced run must be above 0")

    @property
    def steps(self) -> int:
        """Counted steps in one segment."""
        return max(1, round(self.seconds * self.rate_hz / self.segments))


@dataclass(frozen=True)
class Paced:
    """What one candidate did at the app's frame rate."""

    rate_hz: float
    step: Latency
    """The step alone."""
    late: Latency
    """From the moment a frame was due to the start of its step: sleep and backlog."""
    missed: int
    """Frames whose result was not there when the next frame was due."""
    frames: int
    """Frames that counted."""
    cpu_seconds_per_hour: float
    """CPU time of the whole process, threads and pacing loop included."""


@dataclass
class _Tally:
    steps: list[NDArray[np.int64]] = field(default_factory=list)
    late: list[NDArray[np.int64]] = field(default_factory=list)
    missed: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0


def measure_paced(
    candidates: Sequence[Candidate],
    frames: Array,
    settings: PaceSettings,
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Paced], Paced]:
    """Run `candidates` in alternating segments on frames `(T, F)` at the rate of `settings`.

    Deadlines are absolute (`start + i / rate`), so waking late once does not shift the rest. The
    second result is the same loop around a step that does nothing: what the pacing costs.
    """
    clock = clock or Clock()
    nothing = Candidate("", lambda frame: frame)
    tallies = {candidate.name: _Tally() for candidate in (*candidates, nothing)}
    rows = list(np.ascontiguousarray(frames))
    total = settings.segments * len(candidates) + 1
    with pinned(settings.pin):
        for segment in range(settings.segments):
            for index, candidate in enumerate(candidates):
                _segment(candidate, rows, settings, clock, tallies[candidate.name])
                if progress:
                    progress(segment * len(candidates) + index + 1, total)
        _segment(nothing, rows, settings, clock, tallies[""])
        if progress:
            progress(total, total)
    results = {name: _result(tally, settings.rate_hz) for name, tally in tallies.items()}
    harness = results.pop("")
    return results, harness


def _segment(
    candidate: Candidate, rows: list[Array], settings: PaceSettings, clock: Clock, tally: _Tally
) -> None:
    """Pace one segment; the frames of all segments follow each other in the stream."""
    done = sum(map(len, tally.steps))
    steps, late = np.empty(settings.steps, np.int64), np.empty(settings.steps, np.int64)
    period = 1e9 / settings.rate_hz
    start = clock.now() + round(period)
    counted_from = cpu_from = 0
    for index in range(-settings.settle, settings.steps):
        due = start + round((index + settings.settle) * period)
        _wait(due, clock)
        if index == 0:  # from here to the due time after the last frame: whole periods only
            counted_from, cpu_from = clock.now(), clock.cpu()
        begin = clock.now()
        candidate.step(rows[(done + index) % len(rows)])
        end = clock.now()
        if index >= 0:
            steps[index], late[index] = end - begin, begin - due
            tally.missed += end > due + period
    _wait(start + round((settings.settle + settings.steps) * period), clock)
    tally.cpu_ns += clock.cpu() - cpu_from
    tally.wall_ns += clock.now() - counted_from
    tally.steps.append(steps)
    tally.late.append(late)


def _wait(until: int, clock: Clock) -> None:
    """Sleep until `until`; a sleep may end early, a deadline that has passed is not waited for."""
    while (left := until - clock.now()) > 0:
        clock.sleep(left / 1e9)


def _result(tally: _Tally, rate_hz: float) -> Paced:
    steps = np.concatenate(tally.steps)
    return Paced(
        rate_hz=rate_hz,
        step=summarise(steps),
        late=summarise(np.concatenate(tally.late)),
        missed=tally.missed,
        frames=len(steps),
        cpu_seconds_per_hour=round(3600 * tally.cpu_ns / tally.wall_ns, 2),
    )
