"""Many streams in one call: how many a machine advances a second, and how many in time."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array, Progress
from edgeseq.bench.latency import turns
from edgeseq.contract import Contract
from edgeseq.errors import EdgeseqError, UsageError
from edgeseq.runtime import StreamModel, StreamSession


@dataclass(frozen=True)
class ThroughputSettings:
    """How throughput is measured."""

    streams: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    """How many streams are advanced in one call, one measurement each."""
    rounds: int = 10
    """Rounds; each runs every candidate with every number of streams once, in random order."""
    block: int = 50
    """Steps that are timed in a turn."""
    settle: int = 5
    """Steps at the start of a turn that are not timed; the first turn has as many again."""
    seed: int = 0
    """Decides the order within rounds."""

    def __post_init__(self) -> None:
        """Refuse settings that time nothing."""
        if not self.streams or min(self.streams) < 1 or len(set(self.streams)) < len(self.streams):
            raise UsageError("streams must be different numbers of at least 1, such as 1,16,256")
        if self.rounds < 1 or self.block < 1 or self.settle < 0:
            raise UsageError("rounds and block must be at least 1, settle at least 0")


@dataclass(frozen=True)
class Batch:
    """One of the things that are compared: a loaded variant, on the provider it is loaded for."""

    name: str
    """The variant."""
    model: StreamModel
    frames: Array
    """Real frames `(T, F)`, which repeat as long as needed."""


Open = Callable[[StreamModel, int], StreamSession]
"""Opens a session of that many streams, all reset."""


@dataclass(frozen=True)
class Throughput:
    """One candidate with one number of streams."""

    name: str
    provider: str
    streams: int
    """Streams that one step advances by one frame."""
    steps: int
    """Steps that were timed."""
    p50_us: float
    p99_us: float
    streams_per_second: float
    """Streams that are advanced by one frame, a second: `streams` over the median step."""
    in_time: bool
    """Whether 99 of 100 steps end within the limit."""


@dataclass(frozen=True)
class Served:
    """What one candidate can serve within the limit."""

    name: str
    provider: str
    limit_ms: float
    """The longest step that is in time; one frame's period, if nothing else is asked."""
    streams_in_time: int
    """The most streams that were tried and in time; 0: not one."""
    streams_per_second: float
    """Of that many; 0 where not one is in time."""


@dataclass(frozen=True)
class ThroughputResult:
    """All candidates, with all numbers of streams."""

    settings: ThroughputSettings
    rows: tuple[Throughput, ...]
    """Candidates in their order, then by the number of streams."""
    served: tuple[Served, ...]
    """One a candidate."""
    not_measured: dict[str, str]
    """`NAME PROVIDER STREAMS` that could not be opened or run, and why."""


def measure_throughput(
    batches: Sequence[Batch],
    settings: ThroughputSettings | None = None,
    *,
    limit_ms: float | None = None,
    progress: Progress | None = None,
    open_session: Open | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> ThroughputResult:
    """Time steps of many streams at once on real frames, state fed back.

    Every stream reads the frames from a place of its own, as long as there are so many. Blocks of
    all candidates and sizes alternate, so that a slow phase of the machine hits all alike.

    Args:
        batches: what to compare; the CPU beside the GPU.
        settings: how long, and how many streams.
        limit_ms: the longest step that is in time; none: the period of one frame.
        progress: is told how far it is.
        open_session: opens a session; none: `StreamSession`.
        clock: nanoseconds.

    Raises:
        UsageError: a contract fixes the number of streams, or takes no single frames.
    """
    settings = settings or ThroughputSettings()
    for batch in batches:
        require_batches(batch.model.contract, batch.model.source)
    limits = [limit_ms or 1000 / batch.model.contract.frame.rate_hz for batch in batches]
    runs: dict[tuple[int, int], _Run] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for index, batch in enumerate(batches):
            for streams in settings.streams:
                try:
                    session = (open_session or _open)(batch.model, streams)
                except Exception as error:  # memory runs out in many ways
                    missing[_label(batch, streams)] = _first_line(error)
                    continue
                stack.callback(session.close)
                runs[index, streams] = _Run(session, streams, batch.frames, clock)
        _time_in_turns(runs, settings, progress)
    failed = {key: run.failure for key, run in runs.items() if run.failure}
    missing |= {_label(batches[key[0]], key[1]): reason for key, reason in failed.items()}
    rows = [
        (index, _row(batches[index], runs[index, streams], limits[index]))
        for index, streams in sorted(runs.keys() - failed.keys())
    ]
    return ThroughputResult(
        settings=settings,
        rows=tuple(row for _, row in rows),
        served=tuple(
            _served(batch, limits[index], [row for owner, row in rows if owner == index])
            for index, batch in enumerate(batches)
        ),
        not_measured=missing,
    )


def require_batches(contract: Contract, where: str) -> None:
    """Raise `UsageError` where a graph cannot advance any number of streams frame by frame."""
    if contract.form == "sequence":
        raise UsageError(
            f"{where} is a sequence graph without state, so there are no streams to advance; "
            "export with --form step"
        )
    if contract.chunk_min > 1:
        raise UsageError(
            f"{where} takes {contract.chunk_min} frames a call, and throughput is measured frame "
            "by frame; export without --static T"
        )
    if contract.streams is not None:
        raise UsageError(
            f"{where} takes {contract.streams} stream(s) a call and no other number; export "
            "without --static N"
        )


class _Run:
    """One session of many streams: their frames, and the loop that times its steps."""

    def __init__(
        self, session: StreamSession, streams: int, frames: Array, clock: Callable[[], int]
    ) -> None:
        self._session, self._clock = session, clock
        self._frames = np.ascontiguousarray(frames, np.float32)
        self._places = np.arange(streams) * max(1, len(frames) // streams)
        self._position = 0
        self.streams = streams
        self.blocks: list[NDArray[np.int64]] = []
        self.failure = ""

    def step_through(self, count: int) -> NDArray[np.int64]:
        """Run `count` steps and return the nanoseconds each took."""
        step, clock = self._session.step, self._clock
        elapsed = np.empty(count, np.int64)
        for index, frame in enumerate(self._next(count)):
            begin = clock()
            step(frame)
            elapsed[index] = clock() - begin
        return elapsed

    def _next(self, count: int) -> list[Array]:
        """Return the next `count` inputs, `(N, F)` or `(F,)`, before the clock runs."""
        times = range(self._position, self._position + count)
        self._position += count
        rows = [self._frames[(self._places + time) % len(self._frames)] for time in times]
        return [row[0] for row in rows] if self.streams == 1 else rows


def _time_in_turns(
    runs: dict[tuple[int, int], _Run], settings: ThroughputSettings, progress: Progress | None
) -> None:
    """Time all runs in turns; one that fails is left out from then on."""
    keys = {str(key): key for key in runs}
    for done, order in enumerate(turns(tuple(keys), settings.rounds, settings.seed)):
        for name in order:
            run = runs[keys[name]]
            if run.failure:
                continue
            try:
                run.step_through(settings.settle * (1 if run.blocks else 2))
                run.blocks.append(run.step_through(settings.block))
            except EdgeseqError as error:
                run.failure = _first_line(error)
        if progress:
            progress(done + 1, settings.rounds)


def _open(model: StreamModel, streams: int) -> StreamSession:
    return StreamSession(model, streams=streams)


def _row(batch: Batch, run: _Run, limit_ms: float) -> Throughput:
    micro = np.concatenate(run.blocks) / 1e3
    p50, p99 = (float(value) for value in np.quantile(micro, (0.5, 0.99)))
    return Throughput(
        name=batch.name,
        provider=batch.model.provider,
        streams=run.streams,
        steps=int(micro.size),
        p50_us=round(p50, 3),
        p99_us=round(p99, 3),
        streams_per_second=round(run.streams / p50 * 1e6, 1) if p50 else 0.0,
        in_time=p99 <= limit_ms * 1000,
    )


def _served(batch: Batch, limit_ms: float, rows: Sequence[Throughput]) -> Served:
    best = max((row for row in rows if row.in_time), key=lambda row: row.streams, default=None)
    return Served(
        name=batch.name,
        provider=batch.model.provider,
        limit_ms=limit_ms,
        streams_in_time=best.streams if best else 0,
        streams_per_second=best.streams_per_second if best else 0.0,
    )


def _label(batch: Batch, streams: int) -> str:
    return f"{batch.name} {batch.model.provider} {streams}"


def _first_line(error: Any) -> str:  # noqa: ANN401 - any exception
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
