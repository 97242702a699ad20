"""Ctrl-C and SIGTERM between two pieces of work, never inside one."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """Takes both signals inside its context: there they raise `KeyboardInterrupt`."""

    def __init__(self) -> None:
        self.held = Held()
        """Enter it around what must not be cut in two."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self.held.arrived)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Held:
    """Where a signal waits until the context is left, so that a step never lacks its answer.

    A second one does not wait: what is inside may hang, on a pipe that nobody reads.
    """

    def __init__(self) -> None:
        self._inside = self._asked = False

    def __enter__(self) -> Self:
        self._inside = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside = False
        if self._asked and error is None:
            raise KeyboardInterrupt

    def arrived(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: at once outside, on the way out inside."""
        del number, frame
        if self._inside and not self._asked:
            self._asked = True
        else:
            raise KeyboardInterrupt
