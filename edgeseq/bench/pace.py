"""One step every 1/rate seconds, as an app runs it: cold caches, idle gaps, idle threads."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array, Candidate, Progress, Stepper, nothing
from edgeseq.bench.energy import EnergyMeter
from edgeseq.bench.latency import pinned
from edgeseq.bench.samples import unpack
from edgeseq.bench.stats import Latency, summarise
from edgeseq.errors import UsageError
from edgeseq.runtime import pace


@dataclass(frozen=True)
class Clock(pace.Clock):
    """Where a paced run takes its time and what it used from; a test passes one that counts."""

    cpu: Callable[[], int] = time.process_time_ns
    """Nanoseconds of CPU used by all threads of the process."""
    joules: Callable[[], float | None] = field(default_factory=EnergyMeter)
    """Energy that the machine has used, or none where it does not tell."""


@dataclass(frozen=True)
class PaceSettings:
    """How a paced run is done."""

    rate_hz: float
    """Frames per second."""
    seconds: float = 5.0
    """Duration for each candidate, all its segments together."""
    segments: int = 5
    """Turns that a candidate's duration is cut into; the candidates alternate, each opened
    afresh and closed again: threads of one that spin must not burn the time of another."""
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


def segments(seconds: float) -> int:
    """Return how often candidates alternate in so many seconds each: every half minute or less."""
    return max(5, round(seconds / 30))


def enough_frames(rate_hz: float) -> float:
    """Return the seconds after which a 99th percentile can be known: some hundreds of frames.

    Where none of 268 steps is too long, at most 1 % of all are (Wilson's bound at 95 %).
    """
    return max(5.0, 300 / rate_hz)


@dataclass(frozen=True)
class Paced:
    """What one candidate did at the app's frame rate."""

    rate_hz: float
    step: Latency
    """The step alone."""
    late: Latency
    """From the moment a frame was due to the start of its step: sleep and backlog."""
    jitter_p50_us: float
    """How far the time between two results was from the period, median."""
    jitter_p99_us: float
    """The same, 99th percentile."""
    missed: int
    """Frames whose result was not there when the next frame was due."""
    frames: int
    """Frames that counted."""
    cpu_seconds_per_hour: float
    """CPU time of the whole process, threads and pacing loop included."""
    joules_per_hour: float | None
    """Energy of the whole machine, everything else that runs included; none: it does not tell."""

    @property
    def misses(self) -> NDArray[np.bool_]:
        """Of each frame whose times were kept, in their order, whether it counts as missed."""
        taken = unpack(self.late.samples) + unpack(self.step.samples)
        found: NDArray[np.bool_] = taken > 1e9 / self.rate_hz
        return found


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a paced run, with what the finished segments had measured until then."""

    def __init__(self, paced: dict[str, Paced]) -> None:
        super().__init__()
        self.paced = paced


@dataclass
class _Tally:
    steps: list[NDArray[np.int64]] = field(default_factory=list)
    late: list[NDArray[np.int64]] = field(default_factory=list)
    jitter: list[NDArray[np.int64]] = field(default_factory=list)
    missed: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0
    joules: float | None = 0.0


def measure_paced(
    candidates: Sequence[Candidate],
    settings: PaceSettings,
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Paced], Paced]:
    """Run `candidates` in alternating segments at the rate of `settings`.

    Deadlines are absolute (`start + i / rate`), so waking late once does not shift the rest. The
    second result is the same loop around a step that does nothing: what the pacing costs.

    Raises:
        Interrupted: ctrl-C; the segments that were finished are in it.
    """
    clock = clock or Clock()
    tallies = {candidate.name: _Tally() for candidate in candidates}
    idle = _Tally()
    turns = [candidate for _ in range(settings.segments) for candidate in candidates]
    try:
        with pinned(settings.pin):
            for index, candidate in enumerate([*turns, nothing()]):
                with candidate.open() as stepper:
                    tally = tallies.get(candidate.name, idle)
                    _segment(stepper, candidate.frames, settings, clock, tally)
                if progress:
                    progress(index + 1, len(turns) + 1)
    except KeyboardInterrupt:
        done = {name: tally for name, tally in tallies.items() if tally.steps}
        raise Interrupted(
            {name: _result(tally, settings) for name, tally in done.items()}
        ) from None
    results = {name: _result(tally, settings) for name, tally in tallies.items()}
    return results, _result(idle, settings)


def _segment(
    stepper: Stepper, frames: Array, settings: PaceSettings, clock: Clock, tally: _Tally
) -> None:
    """Pace one segment; the frames of all segments follow each other in the stream."""
    rows = list(np.ascontiguousarray(frames))
    done = sum(map(len, tally.steps))
    steps, late, ends = (np.empty(settings.steps, np.int64) for _ in range(3))
    period = 1e9 / settings.rate_hz
    start = clock.now() + round(period)
    counted_from = cpu_from = missed = 0
    joules_from: float | None = None
    for index in range(-settings.settle, settings.steps):
        due = start + round((index + settings.settle) * period)
        clock.wait(due)
        if index == 0:  # from here to the due time after the last frame: whole periods only
            counted_from, cpu_from, joules_from = clock.now(), clock.cpu(), clock.joules()
        begin = clock.now()
        stepper.step(rows[(done + index) % len(rows)])
        end = clock.now()
        if index >= 0:
            steps[index], late[index], ends[index] = end - begin, begin - due, end
            missed += end > due + period
    clock.wait(start + round((settings.settle + settings.steps) * period))
    # All at once and last, so that ctrl-C leaves whole segments only.
    tally.cpu_ns += clock.cpu() - cpu_from
    tally.wall_ns += clock.now() - counted_from
    tally.joules = _add(tally.joules, joules_from, clock.joules())
    tally.missed += missed
    tally.steps.append(steps)
    tally.late.append(late)
    tally.jitter.append(np.abs(np.diff(ends) - round(period)))


def _add(total: float | None, before: float | None, after: float | None) -> float | None:
    return None if total is None or before is None or after is None else total + after - before


def _result(tally: _Tally, settings: PaceSettings) -> Paced:
    steps, jitter = np.concatenate(tally.steps), np.concatenate(tally.jitter)
    jitter_p50, jitter_p99 = np.quantile(jitter / 1e3, (0.5, 0.99)) if jitter.size else (0.0, 0.0)
    per_hour = 3600e9 / tally.wall_ns
    return Paced(
        rate_hz=settings.rate_hz,
        step=summarise(steps),
        late=summarise(np.concatenate(tally.late)),
        jitter_p50_us=round(float(jitter_p50), 3),
        jitter_p99_us=round(float(jitter_p99), 3),
        missed=tally.missed,
        frames=len(steps),
        cpu_seconds_per_hour=round(tally.cpu_ns / 1e9 * per_hour, 2),
        joules_per_hour=None if tally.joules is None else round(tally.joules * per_hour, 1),
    )
