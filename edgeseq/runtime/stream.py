"""`StreamSession`: frames in, outputs out, the state carried in between."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Contract, SessionSettings
from edgeseq.errors import StreamError
from edgeseq.runtime.buffers import Array, Call, StateMemory
from edgeseq.runtime.growing import GrowingCall, GrowingMemory
from edgeseq.runtime.model import StreamModel

FLOAT32 = np.dtype(np.float32)

LONGEST_CALL = 64
"""Frames that `run` gives to one call: beyond it attention costs more a frame, and memory grows."""


class StreamSession:
    """Streams through one model. `N = streams` independent streams advance together.

    The state lives in buffers that are bound to the graph once, unless it grows. One session
    belongs to one thread; sessions that share a `StreamModel` share its weights and may run in
    parallel, and each costs little more than its state.

    Example:
        >>> with StreamSession("bundle") as stream:  # doctest: +SKIP
        ...     for frame in sensor:  # (F,) float32, raw units
        ...         logits = stream.step(frame)  # (C,)
    """

    __slots__ = (
        "_calls", "_check_nan", "_flip", "_frame_shape", "_lead", "_new_call", "_states",
        "_step_call", "_turn", "model", "streams",
    )  # fmt: skip

    def __init__(
        self,
        source: StreamModel | Path | str,
        *,
        variant: str | None = None,
        streams: int = 1,
        provider: str = "cpu",
        settings: SessionSettings | None = None,
        check_nan: bool = False,
    ) -> None:
        """Open `source`, a loaded model, a bundle or an `.onnx` file, with all streams reset.

        Args:
            source: what to run.
            variant: the bundle's variant; none: the preferred one.
            streams: how many streams `N` advance together.
            provider: `cpu` or `cuda`.
            settings: session settings; none: the bundle's.
            check_nan: refuse frames with NaN or infinity, which would poison the state.
        """
        if not isinstance(source, StreamModel):
            source = StreamModel.load(source, variant=variant, provider=provider, settings=settings)
        self.model = source
        self._check_nan = check_nan
        contract = source.contract
        if contract.streams not in (None, streams) or streams < 1:
            raise StreamError(
                f"{source.source} takes {contract.streams or 'at least 1'} streams, not {streams}"
            )
        self.streams = streams
        memory: Any = GrowingMemory if contract.grows else StateMemory
        self._new_call: Any = GrowingCall if contract.grows else Call
        self._states = memory(contract.states, streams, source.provider)
        self._calls: dict[int, Call | GrowingCall] = {}
        self._lead = () if streams == 1 else (streams,)
        self._frame_shape = (*self._lead, contract.frame.size)
        self._turn = 0
        self._flip = self._states.turns - 1
        # Now rather than in the first step: that step is as quick as all others, and what lives
        # as long as the session does not come to lie among what a call allocates and frees.
        single = contract.form != "sequence" and contract.chunk_min == 1
        self._step_call: Call | GrowingCall | None = self._call(1) if single else None

    @property
    def contract(self) -> Contract:
        """What the model takes, returns and remembers."""
        return self.model.contract

    def step(self, frame: Array) -> Array:
        """Feed one frame, `(F,)` or `(N, F)` float32; return outputs `(C,)` or `(N, C)`."""
        call = self._step_call
        if call is None:
            self._require_state()
            call = self._step_call = self._call(1)
        if frame.__class__ is not np.ndarray or frame.dtype != FLOAT32:
            raise StreamError(_wrong_type(frame))
        if frame.shape != self._frame_shape:
            raise StreamError(self._wrong_shape(frame, self._frame_shape))
        if self._check_nan:
            _refuse_nan(frame)
        call.frame[...] = frame
        call.run(self._turn)
        self._turn ^= self._flip
        output: Array = call.output.copy()
        return output

    def run(self, frames: Array) -> Array:
        """Feed `(T, F)` or `(N, T, F)` float32; return `(T, C)` or `(N, T, C)`.

        The frames are cut into the calls that the contract allows, so any `T` will do.
        """
        if frames.__class__ is not np.ndarray or frames.dtype != FLOAT32:
            raise StreamError(_wrong_type(frames))
        shape = (*self._lead, "T", self.contract.frame.size)
        fits = frames.ndim == len(shape) and frames.shape[-2] > 0
        if not fits or (*frames.shape[:-2], "T", frames.shape[-1]) != shape:
            raise StreamError(self._wrong_shape(frames, shape))
        if self._check_nan:
            _refuse_nan(frames)
        total = frames.shape[-2]
        outputs = np.empty((*frames.shape[:-1], len(self.contract.output.labels)), np.float32)
        start = 0
        for size in self._cuts(total):
            call = self._call(size)
            call.frames[...] = frames[..., start : start + size, :]
            call.run(self._turn)
            self._turn ^= self._flip
            outputs[..., start : start + size, :] = call.outputs
            start += size
        return outputs

    def reset(self, streams: int | Sequence[int] | None = None) -> None:
        """Forget all that `streams` (none: all of them) have seen."""
        self._states.reset(self._turn, streams)

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Every state tensor by its input name: a copy that can be kept and set again."""
        states: dict[str, NDArray[Any]] = self._states.read(self._turn)
        return states

    @state.setter
    def state(self, values: Mapping[str, NDArray[Any]]) -> None:
        names = {state.input for state in self.contract.states}
        if set(values) != names:
            raise StreamError(
                f"a state of {sorted(values)} does not fit this model, which has {sorted(names)}"
            )
        self._states.write(self._turn, values)

    def close(self) -> None:
        """Let go of the buffers; the model stays for other sessions."""
        self._calls.clear()
        self._step_call = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _cuts(self, total: int) -> list[int]:
        contract = self.contract
        if contract.form == "sequence":
            longest = total
        else:
            longest = max(contract.chunk_min, min(contract.chunk_max or total, LONGEST_CALL))
        cuts = [longest] * (total // longest) + [total % longest] * bool(total % longest)
        if cuts[-1] < contract.chunk_min or cuts[0] > (contract.chunk_max or total):
            raise StreamError(
                f"{self.model.source} takes {contract.chunk_min} to {contract.chunk_max} frames "
                f"a call; {total} frames cannot be cut so"
            )
        return cuts

    def _call(self, frames: int) -> Call | GrowingCall:
        """Return the call for `frames` frames; a few sizes stay bound."""
        if frames not in self._calls:
            if len(self._calls) >= 8:  # stray lengths must not pile up
                self._calls.pop(next(size for size in self._calls if size != 1))
            self._calls[frames] = self._new_call(self.model, self._states, self.streams, frames)
        return self._calls[frames]

    def _require_state(self) -> None:
        contract = self.contract
        if contract.form == "sequence":
            raise StreamError(
                f"{self.model.source} is a sequence graph without state: use run(), or export "
                "with --form step"
            )
        if contract.chunk_min > 1:
            raise StreamError(
                f"{self.model.source} takes {contract.chunk_min} frames a call: use run()"
            )

    def _wrong_shape(self, array: Array, wanted: tuple[int | str, ...]) -> str:
        text = ", ".join(map(str, wanted)) + ("," if len(wanted) == 1 else "")
        channels = ", ".join(self.contract.frame.channels)
        return (
            f"frame of shape {array.shape}; this stream takes ({text}) float32: "
            f"{self.contract.frame.samples} x [{channels}]"
        )


def _wrong_type(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"frame of dtype {value.dtype}; frames are float32: frame.astype(numpy.float32)"
    return f"frame is a {type(value).__name__}; frames are NumPy arrays of float32"


def _refuse_nan(frames: Array) -> None:
    if not np.isfinite(frames).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(frames))[0])
        raise StreamError(
            f"frame holds {frames[index]} at {index}; it was not fed, the state is as before. "
            "Fill the gap, or reset the stream"
        )
