"""Soaking any number of streams in turns: how long, in which windows, ended by whom."""

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from edgeseq.bench.ageing import RUN_INS, Stream
from edgeseq.bench.candidate import Progress
from edgeseq.bench.latency import pinned
from edgeseq.bench.soaked import Instruments, Pairs, Soaked
from edgeseq.errors import UsageError

FEWEST, MOST = 40, 160
"""Windows of a soak: short ones have the fewest; a slope needs no more than the most."""
HOT = Pairs(count=10, block=20, settle=2)


@dataclass(frozen=True)
class SoakSettings:
    """How long is soaked, and how."""

    steps: int | None = None
    """Steps of each stream; or:"""
    seconds: float | None = None
    """How long all of it takes."""
    rate_hz: float | None = None
    """Frames per second, as an app runs it; none: one step after the other."""
    confidence: float = 0.99
    """Coverage of the slopes' intervals: four promises a stream, and a false alarm costs trust."""
    seed: int = 0
    """Draws the bootstrap of the slopes."""
    pin: int | None = None
    """Core to stay on, or none."""

    def __post_init__(self) -> None:
        """Refuse an extent that has no room for the windows."""
        if (self.steps is None) == (self.seconds is None):
            raise UsageError("a soak has a number of steps or a time: --soak 1e6 or --soak 1h")
        if self.rate_hz is not None and not self.rate_hz > 0:
            raise UsageError("the rate of a soak must be above 0")
        if self.frames is not None and self.frames < self.windows * 2 * self.pairs.steps:
            raise UsageError(
                f"{self.frames:,} steps are too few for a soak: its {self.windows} windows need "
                f"{2 * self.pairs.steps} steps each. Soak at least "
                f"{self.windows * 2 * self.pairs.steps:,} steps"
            )

    @property
    def frames(self) -> int | None:
        """Steps of a stream, or none where only the end will tell."""
        if self.steps is not None:
            return self.steps
        return int((self.seconds or 0) * self.rate_hz) if self.rate_hz else None

    @property
    def windows(self) -> int:
        """Windows that it is cut into."""
        by_steps = (
            MOST if self.frames is None else self.frames // (2_500 if self.rate_hz else 25_000)
        )
        by_time = MOST if self.seconds is None else int(self.seconds // 15)
        return max(FEWEST, min(MOST, by_steps, by_time))

    @property
    def pairs(self) -> Pairs:
        """How the end of a window is measured: paced, one frame a pair."""
        if self.rate_hz is None or self.frames is None:
            return HOT
        return Pairs(count=max(8, min(100, self.frames // self.windows // 4)), block=1, settle=0)

    @property
    def longest_run_in(self) -> int:
        """Most frames of a control's run-in: a quarter of a window, or it ages as well."""
        if self.frames is None:
            return RUN_INS[-1]
        return max(RUN_INS[0], min(RUN_INS[-1], self.frames // self.windows // 4))


@dataclass
class Measured:
    """The streams after their last window."""

    streams: list[Stream]
    seconds: float
    interrupted: bool


def measure_soak(
    soaked: Sequence[Soaked],
    settings: SoakSettings,
    *,
    instruments: Instruments | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Soak in turns, a window each, until the extent is reached or something breaks.

    Raises:
        KeyboardInterrupt: interrupted before the first window was complete.
    """
    instruments = instruments or Instruments()
    with pinned(settings.pin), ExitStack() as stack:
        streams = []
        for one in soaked:
            sessions = stack.enter_context(one.open()), stack.enter_context(one.open())
            how = settings.pairs, settings.rate_hz, settings.longest_run_in
            streams.append(Stream(one, sessions, *how, instruments))
        for stream in streams:
            stream.prepare()
        for stream in streams:
            stream.start(settings.windows)
        gc.collect()  # what others left must not be freed in a turn
        begin, interrupted = instruments.clock.now(), False
        try:
            _turns(streams, settings, instruments.clock.now, progress)
        except KeyboardInterrupt:
            if not all(stream.windows.count for stream in streams):
                raise
            interrupted = True
        return Measured(streams, (instruments.clock.now() - begin) / 1e9, interrupted)


def _turns(
    streams: list[Stream],
    settings: SoakSettings,
    now: Callable[[], int],
    progress: Progress | None,
) -> None:
    begin, turns = now(), settings.windows * len(streams)
    for turn in range(turns):
        stream = streams[turn % len(streams)]
        window = turn // len(streams) + 1
        if stream.broken or _is_over(settings, now() - begin):
            return
        if settings.steps is not None:
            stream.window(_after_steps(settings.steps * window // settings.windows))
        else:
            stream.window(_at(begin + round((settings.seconds or 0) * 1e9 * (turn + 1) / turns)))
        if not stream.note():
            return
        if progress:
            progress(turn + 1, turns)


def _is_over(settings: SoakSettings, nanoseconds: int) -> bool:
    """Say whether the time is up; a model too slow for its windows gets fewer of them."""
    return settings.seconds is not None and nanoseconds >= settings.seconds * 1e9


def _after_steps(steps: int) -> Callable[[int, int], bool]:
    return lambda done, _now: done >= steps


def _at(nanoseconds: int) -> Callable[[int, int], bool]:
    return lambda _done, now: now >= nanoseconds
