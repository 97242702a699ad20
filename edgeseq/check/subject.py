"""A variant under test: how it is fed, and what must come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.bundle import Variant
from edgeseq.check.parity import Array, compare, decision_rule
from edgeseq.contract import Contract
from edgeseq.devices import DeviceProfile
from edgeseq.errors import StreamError
from edgeseq.measured import Parity
from edgeseq.runtime import StreamModel, StreamSession

States = dict[str, NDArray[Any]]

NO_RING = 16, 64
"""Chunk lengths to try around where there is no ring: inside a call of the runtime, and a whole."""


@dataclass(frozen=True)
class Subject:
    """One loaded variant and PyTorch's word on the reference frames."""

    name: str
    variant: Variant
    model: StreamModel
    frames: Array
    """`(T, F)`, as many as whole calls take."""
    outputs: Array
    """`(T, C)`, what PyTorch says of the whole sequence."""
    final_state: States
    """State after all frames by input name, N = 1; empty where calls cannot take all frames."""
    seed: int
    device: DeviceProfile | None = None
    """Where it shall run, if that was said."""

    @property
    def contract(self) -> Contract:
        """What the file itself says."""
        return self.model.contract

    @property
    def exact(self) -> bool:
        """Say whether the variant rounds nothing but floats: one answer however it is fed."""
        return self.variant.precision == "fp32"

    @property
    def unit(self) -> int:
        """Frames in the shortest call."""
        return len(self.frames) if self.contract.form == "sequence" else self.contract.chunk_min

    @property
    def streams(self) -> int:
        """Streams in the smallest call."""
        return self.contract.streams or 1

    @property
    def window(self) -> int | None:
        """Frames that the state reaches back, if it says so."""
        return ring_size(self.contract)

    @property
    def expected(self) -> Array:
        """What other ways of feeding are held to.

        fp32 must answer the same however it is fed, so its own answer frame by frame. int8
        rounds activations by a scale that each call draws from all its frames and streams, so
        there is no one answer: whichever comes out must be within tolerance of PyTorch's.
        """
        return self.stepped[0] if self.exact else self.outputs

    @cached_property
    def stepped(self) -> tuple[Array, States]:
        """Outputs `(T, C)` of the shortest calls through `StreamSession`, and the state after."""
        with self.session() as session:
            outputs = self.step_through(session, self.frames)
            return outputs, self.one_stream(session.state)

    @cached_property
    def parity(self) -> Parity:
        """The shortest calls against the whole-sequence reference."""
        return self.compare(self.outputs, self.stepped[0])

    def session(self, streams: int | None = None) -> StreamSession:
        """Open a session with all streams reset."""
        return StreamSession(self.model, streams=streams or self.streams)

    def step_through(self, session: StreamSession, frames: Array) -> Array:
        """Feed `(T, F)` to all streams in the shortest calls; return the first's `(T, C)`."""
        if self.unit == self.streams == 1 and self.contract.form != "sequence":
            return np.stack([session.step(frame) for frame in frames])
        return self._run_through(session, frames, self.unit)

    def bound(self, size: int) -> tuple[Array, States]:
        """Feed the frames in calls of `size`, through the memory that `StreamSession` binds."""
        with self.session() as session:
            outputs = self._run_through(session, self.frames, size)
            return outputs, self.one_stream(session.state)

    def _run_through(self, session: StreamSession, frames: Array, size: int) -> Array:
        rows = np.stack([frames] * self.streams)
        blocks = np.split(rows, range(size, len(frames), size), axis=1)
        if self.streams == 1:
            return np.concatenate([session.run(block[0]) for block in blocks])
        outputs: Array = np.concatenate([session.run(block) for block in blocks], axis=1)[0]
        return outputs

    def chunked(self, cuts: Sequence[int]) -> tuple[Array, States]:
        """Feed the frames in calls of `cuts` frames, through copies of the state.

        This is the loop an app writes in any language, without the runtime's bound memory and
        without its longest call.
        """
        rows = np.stack([self.frames] * self.streams)
        state = initial_state(self.contract, self.streams)
        outputs, start = [], 0
        for size in cuts:
            output, state = call(self.model, rows[:, start : start + size], state)
            outputs.append(output[0])
            start += size
        return np.concatenate(outputs), self.one_stream(state)

    def one_stream(self, states: States) -> States:
        """Return the first stream's part of `states`, N = 1."""
        axes = {state.input: state.stream_axis for state in self.contract.states}
        return {name: array.take([0], axis=axes[name]) for name, array in states.items()}

    def compare(self, expected: Array, outputs: Array) -> Parity:
        """Measure outputs with the contract's decision rule."""
        return compare(expected, outputs, decision_rule(self.contract.frame, self.contract.output))


def call(model: StreamModel, frames: Array, state: States) -> tuple[Array, States]:
    """Run the graph once on `(N, T, F)`: the plainest way there is."""
    contract = model.contract
    names = [contract.output.name, *(item.output for item in contract.states)]
    feeds = {contract.frame.name: np.ascontiguousarray(frames), **state}
    try:
        outputs, *states = model.session.run(names, feeds)
    except Exception as error:  # onnxruntime raises classes of its own per status code
        raise StreamError(f"ONNX Runtime failed: {str(error).splitlines()[0]}") from None
    return outputs, dict(zip((item.input for item in contract.states), states, strict=True))


def initial_state(contract: Contract, streams: int) -> States:
    """Return the state of `streams` reset streams."""
    return {
        state.input: np.full(state.sized(streams), state.initial, state.dtype)
        for state in contract.states
    }


def ring_size(contract: Contract) -> int | None:
    """Return the frames that the state reaches back, the next one included, if it says so.

    Of an attention cache `(N, H, W, K)` its slots, of frames `(N, W - 1, I)` one more.
    """
    for state in contract.states:
        if state.input.startswith("past_key_values.") and not state.grows:
            return int(state.shape[2])
        if state.input == "cached_frames":
            return int(state.shape[1]) + 1
    return None
