"""A stream fed row by row, as fast as possible or at the pace of its sensor.

Always in the shortest calls that the contract allows, whatever the rows come from: so a file, an
array and a pipe give the same bits, and a stream that stopped goes on as if it never had.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from edgeseq.errors import StreamError, UsageError
from edgeseq.runtime.buffers import Array
from edgeseq.runtime.pace import Clock
from edgeseq.runtime.predict import is_stepped
from edgeseq.runtime.saved import SavedStream, fingerprint
from edgeseq.runtime.stream import StreamSession

TIMED = 10_000
"""Calls whose time is kept: the last ones, because a stream may run for ever."""


@dataclass(frozen=True)
class Answer:
    """What a model says of one frame."""

    frame: int
    """Frames before it since the stream's reset."""
    seconds: float
    """When the frame began, in seconds of the stream since its reset."""
    outputs: Array
    """`(C,)`, as `contract.output` says."""


Tell = Callable[[Answer], object]


class Feed:
    """One stream, the samples that make no frame yet, and how it went."""

    def __init__(
        self,
        session: StreamSession,
        *,
        saved: SavedStream | None = None,
        real_time: bool = False,
        clock: Clock | None = None,
        shield: AbstractContextManager[object] | None = None,
    ) -> None:
        """Go on with `saved`, or begin a new stream.

        Args:
            session: a session of one stream.
            saved: where the stream stopped; it belongs to this model.
            real_time: feed frames at the contract's rate rather than as they come.
            clock: where time comes from.
            shield: entered around every call and what is told of it, so that neither is lost.
        """
        contract = session.contract
        self.session, self.clock = session, clock or Clock()
        self.real_time = real_time
        self.frames = 0
        """Frames since the stream's reset."""
        self.fed = 0
        """Frames of this run."""
        self.rows = 0
        """Rows that this run took; those of `pending` are among them."""
        self.ended = False
        """Whether the rows came to their end."""
        self.missed = 0
        """Frames whose answer was not there when the next frame was due; at real-time pace."""
        self.nanoseconds: deque[int] = deque(maxlen=TIMED)
        """Of each of the last calls."""
        self.pending: Array = np.zeros((0, len(contract.frame.channels)), np.float32)
        """Samples `(S, C)` that make no call yet."""
        self._shield = shield or nullcontext()
        self._model = fingerprint(session)
        self._start: int | None = None
        """When the first call of a paced run was due."""
        if saved:
            session.state = saved.states
            self.frames, self.pending = saved.frames, saved.pending
        self._settled = self.pending, self.rows
        """Samples and rows after the last call."""
        if contract.form == "sequence" and real_time:
            raise UsageError(
                f"{session.model.source} takes the whole input in one call, so it keeps no pace; "
                "export with --form step"
            )

    def run(self, rows: Iterable[Array], tell: Tell, *, limit: int | None = None) -> None:
        """Feed `rows`, each samples `(S, C)`, and `tell` of every frame; stop after `limit`.

        Whatever ends it, the state is that after the last frame that was told of.

        Raises:
            StreamError: nothing could be fed at all, or the model cannot take it.
        """
        if self.session.contract.form == "sequence":
            self._run_whole(rows, tell, limit)
        else:
            self._run_stepwise(rows, tell, limit)
        if not self.rows:
            raise StreamError(
                "nothing to feed: the input is empty, or all of it was skipped. Give rows of "
                f"{len(self.session.contract.frame.channels)} values"
            )

    def saved(self) -> SavedStream:
        """Return the stream as it is now, to be kept and gone on with."""
        return SavedStream(self._model, self.frames, self.pending, self.session.state)

    def _run_stepwise(self, rows: Iterable[Array], tell: Tell, limit: int | None) -> None:
        unit = self._unit
        for row in rows:
            if self.real_time and len(self.pending) + len(row) >= unit:
                self._wait()
            with self._shield:
                samples = np.concatenate([self.pending, row])
                outputs = self._call(samples[:unit]) if len(samples) >= unit else samples[:0]
                self.pending = samples[unit:] if len(outputs) else samples
                self.rows += 1
                self._tell(outputs, tell)
            if limit and self.fed >= limit:
                return
        self.ended = True

    def _run_whole(self, rows: Iterable[Array], tell: Tell, limit: int | None) -> None:
        taken = list(rows)
        samples = np.concatenate([self.pending, *taken])
        frames = len(samples) // self.session.contract.frame.samples
        end = self.session.contract.frame.samples * min(frames, limit or frames)
        with self._shield:
            outputs = self._call(samples[:end]) if frames else samples[:0]
            self.pending, self.rows, self.ended = samples[end:], len(taken), True
            self._tell(outputs, tell)

    @property
    def _unit(self) -> int:
        """Samples of the shortest call."""
        contract = self.session.contract
        return contract.chunk_min * contract.frame.samples

    def _wait(self) -> None:
        """Wait until the next call is due: `start + frames / rate`, so lateness does not add up."""
        if self._start is None:
            self._start = self.clock.now()
        self.clock.wait(self._due(self.fed))

    def _due(self, frames: int) -> int:
        """Return when a call is due that `frames` of this run come before."""
        start = self._start or 0
        return start + round(frames * 1e9 / self.session.contract.frame.rate_hz)

    def _call(self, samples: Array) -> Array:
        """Feed `samples`, all of one call, and return the outputs `(T, C)`; or leave no trace."""
        session, contract = self.session, self.session.contract
        frames = samples.reshape(-1, contract.frame.size)
        single, before = is_stepped(contract), session.state
        begin = self.clock.now()
        outputs = session.step(frames[0])[None] if single else session.run(frames)
        end = self.clock.now()
        if not np.isfinite(outputs).all():
            session.state = before
            self.pending, self.rows = self._settled  # which of its samples is wrong is not known
            raise StreamError(
                f"the model answers frame {self.frames} with NaN or infinity; the frame was not "
                f"fed. Its values are from {samples.min():g} to {samples.max():g}: correct them"
            )
        self.nanoseconds.append(end - begin)
        if self._start is not None and end > self._due(self.fed + len(frames)):
            self.missed += len(frames)
        return outputs

    def _tell(self, outputs: Array, tell: Tell) -> None:
        """Count the frames, then tell of each: whoever listens may be gone."""
        if len(outputs):
            self._settled = self.pending, self.rows
        first, rate_hz = self.frames, self.session.contract.frame.rate_hz
        self.frames += len(outputs)
        self.fed += len(outputs)
        for index, output in enumerate(outputs, start=first):
            tell(Answer(index, index / rate_hz, output))
