"""Waiting for the moment at which something is due."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Where a paced loop takes its time from; a test passes one that only counts."""

    now: Callable[[], int] = time.perf_counter_ns
    """Nanoseconds, never going back."""
    sleep: Callable[[float], object] = time.sleep
    """Waits for some seconds."""

    def wait(self, until: int) -> None:
        """Sleep until `until`; a sleep may end early, what has passed is not waited for."""
        while (left := until - self.now()) > 0:
            self.sleep(left / 1e9)
