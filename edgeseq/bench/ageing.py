"""The soaked stream and its control: one window of steps at a time, and what is noted of it.

The soaked session runs on for ever. The control is a second session of the same file that runs
some hundred steps a window. It answers for two things:

- Latency. In the last steps of a window both are timed in alternating blocks, so that a slow
  phase of the machine hits both alike; the window's figure is their ratio. What it cannot see is
  what ages the whole process, the control included; the plain latency is noted for that. What
  ages with a session's own steps is seen short by the control's share of steps, which is told.
- Output. Before those steps the control is reset and run in over the frames that the soaked
  session saw last. A stream of bounded memory must then answer as one that ran for ever does:
  an LSTM forgets, a windowed Transformer saw nothing else. How many frames that takes is found at
  the start. A model that never forgets all (a latched cell) differs from its control by a level
  that stays; only its slope is judged, and only where all windows compare the same frames. The
  largest magnitude of each state is held against the control's. What neither can see is a fault
  that a young session has too.

All arrays are allocated before the first window, and memory is read at both ends of a turn:
what the soak itself or another stream takes between turns is no growth of this one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array
from edgeseq.bench.soaked import Instruments, Pairs, Soakable, Soaked, Windows
from edgeseq.bench.warmup import warm_up

RUN_INS = (64, 128, 256, 512, 1024)
"""Frames that a control is run in over: the first that suffices, twice for safety."""
PROBED = 16
"""Frames that are compared to find out."""
KEPT = 4096
"""Latest steps of a window that its percentiles are made of."""


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
        self.aligned = True
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
        self.broken, self.aligned = None, True
        self._check("before the first window")

    def window(self, over: Callable[[int, int], bool]) -> None:
        """Soak until `over` (its steps up to here, the time) says so, then compare."""
        before = self._memory()
        self._timed = 0
        self._pace_anew()
        self._soak(over)
        self.aligned &= self._place % len(self._frames) == 0
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
        ours, theirs = (_magnitudes(one.state) for one in (self._session, self._control))
        row.states[index] = [size / (theirs[name] or 1.0) for name, size in ours.items()]
        row.count += 1
        return True

    def _check(self, when: str) -> None:
        """Note at once what makes every later output wrong."""
        for name, magnitude in _magnitudes(self._session.state).items():
            if not np.isfinite(magnitude):
                self.broken = f"state {name} is not finite {when}"
        if not np.isfinite(self._outputs).all():
            self.broken = self.broken or f"outputs are not finite {when}"

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
        for self.run_in in (*(frames for frames in RUN_INS if frames < longest), longest):
            self._restart_control()
            differences = [self._both() for _ in range(PROBED)]
            if max(differences) <= self.soaked.negligible_drift * self.soaked.scale:
                self.run_in, self.forgets = min(2 * self.run_in, longest), True
                return

    def _both(self) -> float:
        frame = self._frames[self._place % len(self._frames)]
        ours, theirs = self._session.step(frame), self._control.step(frame)
        self._place += 1
        return float(np.abs(ours.astype(np.float64) - theirs).max())

    def _soak(self, over: Callable[[int, int], bool]) -> None:
        """Run the soaked session alone; a stretch of about a lap ends where the stream begins anew.

        So that every window compares the same frames, whatever they are worth.
        """
        begin, lap, now = self.total, len(self._frames), self._clock.now
        while not over(self.total + self._pairs.steps, now()):
            self._timed_step()
        if self.total - begin >= lap - self._pairs.steps:
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


def _magnitudes(state: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    return {
        name: float(np.abs(np.asarray(value, np.float64)).max()) for name, value in state.items()
    }
