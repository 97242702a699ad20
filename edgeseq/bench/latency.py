"""Hot latency of any number of candidates, interleaved in one process."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Candidate, Progress, Stepper, nothing
from edgeseq.bench.stats import Latency, Ratio, compare, summarise
from edgeseq.bench.warmup import Warmup, warm_up
from edgeseq.errors import UsageError

Blocks = list[list[NDArray[np.int64]]]
"""Of each fresh session, one block of nanoseconds a round."""


@dataclass(frozen=True)
class HotSettings:
    """How hot latency is measured."""

    rounds: int = 40
    """Rounds; each runs every candidate once, in random order."""
    block: int = 250
    """Steps that are timed in a candidate's turn."""
    reopen: int = 2
    """Rounds after which every candidate is opened afresh."""
    settle: int = 10
    """Steps at the start of a turn that are not timed: the other candidates used the caches."""
    seed: int = 0
    """Decides the order within rounds, and the bootstrap."""
    pin: int | None = None
    """Core to stay on, or none; the pool threads of a session that has some stay free."""

    def __post_init__(self) -> None:
        """Refuse settings that time nothing."""
        if min(self.rounds, self.block, self.reopen) < 1 or self.settle < 0:
            raise UsageError("rounds, block and reopen must be at least 1, settle at least 0")


@dataclass(frozen=True)
class HotResult:
    """Latencies of all candidates, and what ratios between any two of them are made of."""

    latencies: dict[str, Latency]
    warmups: dict[str, Warmup]
    """Of each candidate's first session."""
    medians: dict[str, list[list[float]]]
    """Of each candidate's sessions, the median of each round's block, in nanoseconds."""
    harness: Latency
    """The same loop around a step that does nothing: what the clock adds; never subtracted."""
    seed: int = 0
    """Draws the bootstrap of the ratios."""

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """Each candidate against the first one."""
        reference, *others = self.medians
        return tuple(self.ratio(name, reference) for name in others)

    def ratio(self, candidate: str, reference: str) -> Ratio:
        """Compare two candidates; raise `KeyError` where one was not measured."""
        ours, theirs = (candidate, self.medians[candidate]), (reference, self.medians[reference])
        return compare(ours, theirs, seed=self.seed)


def measure_hot(
    candidates: Sequence[Candidate],
    settings: HotSettings | None = None,
    *,
    progress: Progress | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> HotResult:
    """Time the steps of `candidates` one after the other, each on its own stream of frames.

    Blocks of all candidates alternate, so that a slow phase of the machine hits all alike; within
    a session the state runs on: what is timed is the step as an app calls it. Every so many rounds
    all are opened afresh, because where memory happens to lie is worth 1 to 2 % of a session.
    """
    settings = settings or HotSettings()
    streams = {candidate.name: _Stream(candidate, clock) for candidate in candidates}
    if len(streams) < len(candidates):
        raise UsageError("two candidates have the same name; give every candidate its own")
    blocks: dict[str, Blocks] = {name: [] for name in streams}
    with pinned(settings.pin):
        idle = _Stream(nothing(), clock)
        with idle.opened():
            harness = idle.time(settings.block * 8)
        done = 0
        for orders in _sessions(turns(tuple(streams), settings.rounds, settings.seed), settings):
            with ExitStack() as stack:
                for name in orders[0]:
                    stack.enter_context(streams[name].opened())
                    blocks[name].append([])
                for order in orders:
                    for name in order:
                        streams[name].time(settings.settle)
                        blocks[name][-1].append(streams[name].time(settings.block))
                    done += 1
                    if progress:
                        progress(done, settings.rounds)
    return HotResult(
        latencies={name: summarise(_flat(parts)) for name, parts in blocks.items()},
        warmups={name: stream.warmup for name, stream in streams.items() if stream.warmup},
        medians={name: _medians(sessions) for name, sessions in blocks.items()},
        harness=summarise(harness),
        seed=settings.seed,
    )


def turns(names: Sequence[str], rounds: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield each round's order: every name once, in an order drawn anew (and reproducibly)."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield tuple(names[index] for index in rng.permutation(len(names)))


def _sessions(
    orders: Iterator[tuple[str, ...]], settings: HotSettings
) -> Iterator[list[tuple[str, ...]]]:
    """Yield the rounds that share one set of sessions."""
    while group := list(islice(orders, settings.reopen)):
        yield group


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep the calling thread on `core` inside the block; none changes nothing."""
    if core is None:
        yield
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("pinning to a core works on Linux only; run again without it")
    before = os.sched_getaffinity(0)
    if core not in before:
        allowed = ", ".join(map(str, sorted(before)))
        raise UsageError(f"cannot pin to core {core}; this process may use: {allowed}")
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Stream:
    """A candidate's endless stream of frames, and the loop that times its steps."""

    def __init__(self, candidate: Candidate, clock: Callable[[], int]) -> None:
        self._candidate, self._clock = candidate, clock
        self._frames = list(np.ascontiguousarray(candidate.frames))  # so the loop need not slice
        self._position = 0
        self._stepper: Stepper | None = None
        self.warmup: Warmup | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the candidate afresh and warm it up: as long as its first session needed."""
        with self._candidate.open() as self._stepper:
            if self.warmup is None:
                self.warmup = warm_up(self.time)
            else:
                self.time(self.warmup.discarded)
            yield
        self._stepper = None

    def time(self, count: int) -> NDArray[np.int64]:
        """Run `count` steps and return the nanoseconds each took."""
        if self._stepper is None:
            raise RuntimeError("the stream is not open")
        step, clock, frames = self._stepper.step, self._clock, self._frames
        elapsed = np.empty(count, np.int64)
        for index in range(count):
            frame = frames[(self._position + index) % len(frames)]
            begin = clock()
            step(frame)
            elapsed[index] = clock() - begin
        self._position += count
        return elapsed


def _flat(sessions: Blocks) -> NDArray[np.int64]:
    return np.concatenate([block for blocks in sessions for block in blocks])


def _medians(sessions: Blocks) -> list[list[float]]:
    return [[float(np.median(block)) for block in session] for session in sessions]
