"""State that grows with every frame: nothing can be bound, so every call is fed and read anew."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.errors import StreamError
from edgeseq.runtime.buffers import Array, require_like
from edgeseq.runtime.model import StreamModel


class GrowingMemory:
    """All states as the last call returned them; none frames long after a reset."""

    __slots__ = ("_states", "_streams", "turns", "values")

    def __init__(self, states: Sequence[State], streams: int, provider: str) -> None:
        self._states, self._streams = states, streams
        self.turns = 1
        """There are no buffers to take turns."""
        self.values = self._fresh()

    def _fresh(self) -> dict[str, NDArray[Any]]:
        sized = ((state, state.sized(self._streams)) for state in self._states)
        return {state.input: np.full(size, state.initial, state.dtype) for state, size in sized}

    def read(self, turn: int) -> dict[str, NDArray[Any]]:
        """Return copies of the states by their input names."""
        return {name: array.copy() for name, array in self.values.items()}

    def write(self, turn: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Replace all states, or none where one does not fit; all have seen as many frames."""
        first = next(state for state in self._states if state.grows)
        axis, array = first.shape.index("P"), values[first.input]
        length = array.shape[axis] if np.ndim(array) == len(first.shape) else 0
        for state in self._states:
            wanted = np.empty(state.sized(self._streams, length), state.dtype)
            require_like(wanted, values[state.input], state.input)
        self.values = {name: np.array(array) for name, array in values.items()}

    def reset(self, turn: int, streams: int | Sequence[int] | None) -> None:
        """Give the initial values to all `streams`: they share the axis that grows."""
        every = set(range(self._streams))
        if streams is not None and set(np.ravel(streams).tolist()) != every:
            raise StreamError(
                "streams that share a growing cache are as old as each other: reset all of them, "
                "or give each a session of its own"
            )
        self.values = self._fresh()


class GrowingCall:
    """Input and output memory for calls of one length; the states are fed back by name."""

    __slots__ = ("_given", "_inputs", "_memory", "_names", "_run", "_taken", "frame", "frames",
                 "output", "outputs")  # fmt: skip

    def __init__(
        self, model: StreamModel, memory: GrowingMemory, streams: int, frames: int
    ) -> None:
        contract = model.contract
        x = np.zeros((streams, frames, contract.frame.size), np.float32)
        y = np.zeros((streams, frames, len(contract.output.labels)), np.float32)
        self.frames: Array = x[0] if streams == 1 else x
        self.outputs: Array = y[0] if streams == 1 else y
        self.frame, self.output = self.frames[..., 0, :], self.outputs[..., 0, :]
        self._run, self._memory, self._taken = model.session.run, memory, y
        self._given = {contract.frame.name: x}
        self._inputs = [state.input for state in contract.states]
        self._names = [contract.output.name, *(state.output for state in contract.states)]

    def run(self, turn: int) -> None:
        """Run the graph, and keep the states that it returns."""
        try:
            outputs, *states = self._run(self._names, {**self._given, **self._memory.values})
        except Exception as error:  # onnxruntime raises classes of its own per status code
            raise StreamError(f"ONNX Runtime failed: {str(error).splitlines()[0]}") from None
        self._taken[...] = outputs
        self._memory.values = dict(zip(self._inputs, states, strict=True))
