"""Ctrl-C and SIGTERM between two pieces of work, never inside one."""

import signal
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Takes both signals while it is installed; as a context it holds them back until it is left.

    A step and its answer are then never cut in two, while waiting for a frame ends at once. A
    second signal does not wait: what is inside may hang, on a pipe that nobody reads.
    """

    def __init__(self) -> None:
        self._before = {
            number: signal.signal(number, self._arrived)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
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

    def restore(self) -> None:
        """Give both signals back to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._inside and not self._asked:
            self._asked = True
        else:
            raise KeyboardInterrupt
