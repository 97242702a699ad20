"""Hot latency of any number of candidates, interleaved in one process."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.stats import Latency, Ratio, compare, summarise
from edgeseq.errors import UsageError

Array = NDArray[np.float32]
Progress = Callable[[int, int], object]
"""Called with (done, total) now and then."""


@dataclass(frozen=True)
class Candidate:
    """One of the things that are compared."""

    name: str
    step: Callable[[Array], object]
    """Takes one frame `(F,)`, carries its own state from call to call."""


@dataclass(frozen=True)
class HotSettings:
    """How hot latency is measured."""

    rounds: int = 40
    """Rounds; each runs every candidate once, in random order."""
    block: int = 250
    """Steps that are timed in a candidate's turn."""
    warmup: int = 500
    """Steps of every candidate before the first round, not timed."""
    settle: int = 10
    """Steps at the start of a turn that are not timed: the other candidates used the caches."""
    seed: int = 0
    """Decides the order within rounds, and the bootstrap."""
    pin: int | None = None
    """Core to stay on, or none; the pool threads of a session that has some stay free."""

    def __post_init__(self) -> None:
        """Refuse settings that time nothing."""
        if self.rounds < 1 or self.block < 1 or self.warmup < 0 or self.settle < 0:
            raise UsageError("rounds and block must be at least 1, warmup and settle at least 0")


@dataclass(frozen=True)
class HotResult:
    """Latencies of all candidates, and each one against the first."""

    latencies: dict[str, Latency]
    ratios: tuple[Ratio, ...]
    harness: Latency
    """The same loop around a step that does nothing: what the clock adds; never subtracted."""


def measure_hot(
    candidates: Sequence[Candidate],
    frames: Array,
    settings: HotSettings | None = None,
    *,
    progress: Progress | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> HotResult:
    """Time `candidates` on the stream `frames` `(T, F)`, which repeats as long as needed.

    Blocks of all candidates alternate, so that a slow phase of the machine hits all alike, and
    the state runs on through all blocks: what is timed is the step as an app calls it.
    """
    settings = settings or HotSettings()
    streams = {candidate.name: _Stream(candidate.step, frames, clock) for candidate in candidates}
    if len(streams) < len(candidates):
        raise UsageError("two candidates have the same name; give every candidate its own")
    blocks: dict[str, list[NDArray[np.int64]]] = {name: [] for name in streams}
    with pinned(settings.pin):
        harness = _Stream(_nothing, frames, clock).time(settings.block * 8)
        for stream in streams.values():
            stream.time(settings.warmup)
        for index, order in enumerate(turns(tuple(streams), settings.rounds, settings.seed)):
            for name in order:
                streams[name].time(settings.settle)
                blocks[name].append(streams[name].time(settings.block))
            if progress:
                progress(index + 1, settings.rounds)
    return HotResult(
        latencies={name: summarise(np.concatenate(parts)) for name, parts in blocks.items()},
        ratios=_ratios(blocks, settings.seed),
        harness=summarise(harness),
    )


def turns(names: Sequence[str], rounds: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield each round's order: every name once, in an order drawn anew (and reproducibly)."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield tuple(names[index] for index in rng.permutation(len(names)))


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

    def __init__(
        self, step: Callable[[Array], object], frames: Array, clock: Callable[[], int]
    ) -> None:
        self._step, self._clock = step, clock
        self._frames = list(np.ascontiguousarray(frames))  # so the loop need not slice
        self._position = 0

    def time(self, count: int) -> NDArray[np.int64]:
        """Run `count` steps and return the nanoseconds each took."""
        step, clock, frames = self._step, self._clock, self._frames
        elapsed = np.empty(count, np.int64)
        for index in range(count):
            frame = frames[(self._position + index) % len(frames)]
            begin = clock()
            step(frame)
            elapsed[index] = clock() - begin
        self._position += count
        return elapsed


def _ratios(blocks: dict[str, list[NDArray[np.int64]]], seed: int) -> tuple[Ratio, ...]:
    medians = {name: [float(np.median(part)) for part in parts] for name, parts in blocks.items()}
    reference, *others = medians.items()
    return tuple(compare(other, reference, seed=seed) for other in others)


def _nothing(frame: Array) -> object:
    return frame
