"""The soaked stream and its control: one window of steps at a time, and what is noted of it.

The soaked session runs on for ever. The control is a second session of the same file that runs
some hundred steps a window. It answers for two things:

- Latency. In the last steps of a window both are timed in alternating blocks, so that a slow
  phase of the machine hits both alike; the window's figure is their ratio. What it cannot see is
  what ages the whole process, the control included; the plain latency is noted for that.
- Output. Before those steps the control is reset and run in over the frames that the soaked
  session saw last. A stream of bounded memory must then answer as one that ran for ever does:
  an LSTM forgets, a windowed Transformer saw nothing else. How many frames that takes is found at
  the start. A model that never forgets all (a latched cell) differs from its control by a level
  that stays; only its slope is judged. What it cannot see is a fault that a young session has too.

All arrays are allocated before the first window, and memory is read at both ends of a turn:
what the soak itself or another stream takes between turns is no growth of this one.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array
from edgeseq.bench.pace import Clock
from edgeseq.bench.warmup import warm_up

RUN_INS = (64, 128, 256, 512, 1024)
"""Frames that a control is run in over: the first that suffices, twice for safety."""
PROBED = 16
"""Frames that are compared to find out."""
ROLLUP = Path("/proc/self/smaps_rollup")
KEPT = 4096
"""Latest steps of a window that its percentiles are made of."""


def taken() -> int | None:
    """Return the bytes of memory that this process wrote to, swapped out or not, or none.

    Not resident memory: pages of libraries come and go with what other processes do.
    """
    try:
        lines = ROLLUP.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kib = [int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:"))]
    return 1024 * sum(kib) if kib else None


class Soakable(Protocol):
    """A stream that is open, can be reset, and shows its state; `StreamSession` is one."""

    def step(self, frame: Array, /) -> Array:
        """Feed one frame `(F,)` and return the outputs `(C,)`."""

    def reset(self) -> None:
        """Forget all frames."""

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Every state tensor by name."""


@dataclass(frozen=True)
class Soaked:
    """What is soaked."""

    name: str
    open: Callable[[], AbstractContextManager[Soakable]]
    """Opens it afresh, weights included; the control is opened by it, too."""
    frames: Array
    """Its stream `(T, F)`, which repeats as long as needed: a lap is T frames."""
    scale: float = 1.0
    """RMS of its outputs, which drift is a share of."""
    negligible_drift: float = 1e-6
    """Difference to the control, as a share of the RMS, that counts as none."""


@dataclass(frozen=True)
class Pairs:
    """The steps at the end of a window in which soaked session and control alternate."""

    count: int
    """Pairs of blocks; who goes first alternates."""
    block: int
    """Timed steps in a block."""
    settle: int
    """Steps before a block that are not timed: the other session used the caches."""

    @property
    def steps(self) -> int:
        """Steps of each session."""
        return self.count * (self.block + self.settle)


@dataclass(frozen=True)
class Instruments:
    """Where a soak takes its figures from; a test passes ones that only count."""

    clock: Clock = field(default_factory=Clock)
    memory: Callable[[], int | None] = taken
    """Bytes that the process has taken, or none where the system does not tell."""


@dataclass
class Windows:
    """Every window's figures, allocated and touched at the start; `count` are filled."""

    steps: NDArray[np.float64]
    """Steps of the soaked session up to the window's end."""
    ratio: NDArray[np.float64]
    p50_us: NDArray[np.float64]
    p99_us: NDArray[np.float64]
    control_us: NDArray[np.float64]
    memory_kib: NDArray[np.float64]
    """Growth in this stream's own turns up to the window's end; NaN: the system does not tell."""
    drift: NDArray[np.float64]
    states: NDArray[np.float64]
    """Largest magnitude of each state tensor `(windows, tensors)`."""
    count: int = 0

    @classmethod
    def empty(cls, most: int, tensors: int) -> "Windows":
        """Return room for `most` windows."""
        room = [np.full(most, np.nan) for _ in range(7)]
        states = np.full((most, tensors), np.nan)
        return cls(room[0], room[1], room[2], room[3], room[4], room[5], room[6], states)


class Stream:
    """One soaked session beside its control."""

    def __init__(
        self,
        soaked: Soaked,
        sessions: tuple[Soakable, Soakable],
        pairs: Pairs,
        rate_hz: float | None,
        longest_run_in: int,
        instruments: Instruments,
    ) -> None:
        self.soaked, self._pairs, self._rate = soaked, pairs, rate_hz
        self._session, self._control = sessions
        self._clock, self._memory = instruments.clock, instruments.memory
        self._frames = list(np.ascontiguousarray(soaked.frames))
        self._times = np.ones(KEPT, np.int64)  # touched: the pages must be there before a window
        self._timed = 0
        self._blocks = np.ones((2, pairs.count, pairs.block), np.int64)
        width = np.size(self._session.step(self._frames[0]))
        self._outputs = np.ones((2, pairs.steps, width))
        self._place = 1  # of the soaked session in its stream
        self._due = 0
        self.total = 0
        self.control_steps = 0
        self.grown: float = 0.0
        self.broken: str | None = None
        self.run_in, self.forgets = longest_run_in, False

    def prepare(self) -> None:
        """Warm both sessions up, and find how many frames a control must be run in over."""
        warm_up(self._ran)
        self._control.reset()
        warm_up(self._control_ran)
        self._find_run_in()
        self.window(lambda _done, _now: True)  # the first turn touches memory that stays

    def start(self, most: int) -> None:
        """Begin to count: forget what was prepared, allocate room for `most` windows."""
        self.windows = Windows.empty(most, len(self._session.state))
        self.total = self.control_steps = 0
        self.grown = 0.0
        self.broken = None
        self._check("before the first window")

    def window(self, over: Callable[[int, int], bool]) -> None:
        """Soak until `over` (its steps up to here, the time) says so, then compare."""
        before = self._memory()
        self._timed = 0
        self._pace_anew()
        self._soak(over)
        self._restart_control()
        self._pace_anew()  # that took some periods
        self._compare()
        after = self._memory()
        self.grown = np.nan if before is None or after is None else self.grown + after - before

    def note(self) -> bool:
        """Write down the window that ran last, or in `broken` what is wrong at once."""
        self._check(f"after {self.total:,} steps")
        if self.broken:
            return False
        row, index = self.windows, self.windows.count
        times = self._times[: min(self._timed, KEPT)] / 1e3
        row.steps[index] = self.total
        row.ratio[index] = self._ratio()
        row.p50_us[index], row.p99_us[index] = np.quantile(times, (0.5, 0.99))
        row.control_us[index] = np.median(self._blocks[1]) / 1e3
        row.memory_kib[index] = self.grown / 1024
        row.drift[index] = _rms(self._outputs[0] - self._outputs[1]) / self.soaked.scale
        row.states[index] = list(self._magnitudes().values())
        row.count += 1
        return True

    def _check(self, when: str) -> None:
        """Note at once what makes every later output wrong."""
        for name, magnitude in self._magnitudes().items():
            if not np.isfinite(magnitude):
                self.broken = f"state {name} is not finite {when}"
        if not np.isfinite(self._outputs).all():
            self.broken = self.broken or f"outputs are not finite {when}"

    def _magnitudes(self) -> dict[str, float]:
        return {
            name: float(np.abs(np.asarray(value, np.float64)).max())
            for name, value in self._session.state.items()
        }

    def _ran(self, count: int) -> NDArray[np.int64]:
        """Run `count` steps of the soaked session and return the nanoseconds each took."""
        elapsed = np.empty(count, np.int64)
        for index in range(count):
            elapsed[index] = self._step()
        return elapsed

    def _step(self) -> int:
        frame, now = self._frames[self._place % len(self._frames)], self._clock.now
        begin = now()
        self._session.step(frame)
        elapsed = now() - begin
        self._place += 1
        self.total += 1
        return elapsed

    def _control_ran(self, count: int) -> NDArray[np.int64]:
        elapsed, now = np.empty(count, np.int64), self._clock.now
        for index in range(count):
            begin = now()
            self._control.step(self._frames[index % len(self._frames)])
            elapsed[index] = now() - begin
        return elapsed

    def _find_run_in(self) -> None:
        """Find the fewest frames after which a reset session answers as the soaked one does."""
        longest = self.run_in
        for self.run_in in (frames for frames in RUN_INS if frames <= longest):
            self._restart_control()
            differences = [self._both() for _ in range(PROBED)]
            if max(differences) <= self.soaked.negligible_drift * self.soaked.scale:
                self.run_in, self.forgets = min(2 * self.run_in, longest), True
                return
        self.run_in = longest

    def _both(self) -> float:
        frame = self._frames[self._place % len(self._frames)]
        ours, theirs = self._session.step(frame), self._control.step(frame)
        self._place += 1
        return float(np.abs(ours.astype(np.float64) - theirs).max())

    def _soak(self, over: Callable[[int, int], bool]) -> None:
        """Run the soaked session alone; a long stretch ends where the stream begins anew.

        So that every window compares the same frames, whatever they are worth.
        """
        begin, lap, now = self.total, len(self._frames), self._clock.now
        while not over(self.total + self._pairs.steps, now()):
            self._timed_step()
        if self.total - begin > 2 * lap:
            for _ in range(-self._place % lap):
                self._timed_step()

    def _timed_step(self) -> None:
        self._wait()
        self._times[self._timed % KEPT] = self._step()
        self._timed += 1

    def _restart_control(self) -> None:
        self._control.reset()
        for place in range(self._place - self.run_in, self._place):
            self._control.step(self._frames[place % len(self._frames)])
        self.control_steps += self.run_in

    def _compare(self) -> None:
        """Step both over the same frames in alternating blocks; note times and outputs."""
        size = self._pairs.block + self._pairs.settle
        for pair in range(self._pairs.count):
            self._wait()
            frames = [self._frames[(self._place + k) % len(self._frames)] for k in range(size)]
            for who in (0, 1) if pair % 2 else (1, 0):
                self._block(who, pair, frames)
            self._place += size
            self.total += size
            self.control_steps += size

    def _block(self, who: int, pair: int, frames: list[Array]) -> None:
        step, now = (self._session, self._control)[who].step, self._clock.now
        settle, outputs = self._pairs.settle, self._outputs[who]
        for index, frame in enumerate(frames):
            begin = now()
            output = step(frame)
            elapsed = now() - begin
            outputs[pair * len(frames) + index] = output
            if index >= settle:
                self._blocks[who, pair, index - settle] = elapsed
                if who == 0:
                    self._times[self._timed % KEPT] = elapsed
                    self._timed += 1

    def _pace_anew(self) -> None:
        if self._rate:
            self._due = self._clock.now() + round(1e9 / self._rate)

    def _wait(self) -> None:
        """Wait until the next frame is due; one that is late is not waited for."""
        if not self._rate:
            return
        while (left := self._due - self._clock.now()) > 0:
            self._clock.sleep(left / 1e9)
        self._due += round(1e9 / self._rate)

    def _ratio(self) -> float:
        """Return soaked over control, freed from what being first in a pair costs."""
        medians = np.median(self._blocks, axis=2)
        logs = np.log(medians[0] / medians[1])
        return float(np.exp((np.median(logs[::2]) + np.median(logs[1::2])) / 2))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
