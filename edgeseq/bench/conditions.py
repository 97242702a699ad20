"""Under what conditions a benchmark ran: who else used the machine, and how good its clock is."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Conditions:
    """What else went on while it was measured; none where the system does not tell."""

    seconds: float
    """How long all of it took."""
    pinned_to: int | None
    """Core that hot and paced steps stayed on, or none."""
    load_before: float | None
    """Load average over one minute at the start: above a core or so others were at work."""
    load_after: float | None
    """The same at the end; the benchmark itself is in it."""
    stolen: float | None
    """Share of all cores' time that the hypervisor gave to others, 0 to 1."""
    preempted: int | None
    """Times that this process was put off a core against its will."""
    clock_resolution_ns: int
    """Smallest difference that the clock shows."""
    clock_overhead_ns: float
    """One reading of the clock, median; every step's time holds about one."""


class Watch:
    """Notes the conditions from when it is made until `read`."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._load, self._ticks, self._switches = _load(), _ticks(), _switches()

    def read(self, pinned_to: int | None) -> Conditions:
        """Return what went on until now."""
        resolution, overhead = clock()
        switches = _switches()
        return Conditions(
            seconds=round(time.monotonic() - self._begin, 1),
            pinned_to=pinned_to,
            load_before=self._load,
            load_after=_load(),
            stolen=_stolen(self._ticks, _ticks()),
            preempted=None if switches is None or self._switches is None
            else switches - self._switches,
            clock_resolution_ns=resolution,
            clock_overhead_ns=overhead,
        )  # fmt: skip


def clock(readings: int = 20_000) -> tuple[int, float]:
    """Return the clock's smallest step and what one reading costs, both in nanoseconds."""
    now = time.perf_counter_ns
    times = np.array([now() for _ in range(readings)])
    steps = np.diff(times)
    return int(steps[steps > 0].min()), round(float(np.median(steps)), 1)


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _ticks() -> list[int] | None:
    """Return the ticks of all cores: user, nice, system, idle, iowait, irq, softirq, steal."""
    try:
        line = STAT.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return None
    counts = [int(word) for word in line.split()[1:9]]
    return counts if len(counts) == 8 else None


def _stolen(before: list[int] | None, after: list[int] | None) -> float | None:
    if before is None or after is None:
        return None
    total = sum(after) - sum(before)
    return round((after[7] - before[7]) / total, 4) if total else 0.0


def _switches() -> int | None:
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
