"""Memory of a stream that is bound to the graph once: its state, its frames, its outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.errors import StreamError
from edgeseq.extras import require
from edgeseq.runtime.model import StreamModel

Array = NDArray[np.float32]


class StateMemory:
    """Memory of all states: one buffer each if it may be written in place, or two in turns.

    In place is what ONNX Runtime's CPU provider was seen to do right. Other providers have
    kernels of their own (cuDNN's LSTM promises nothing), so there the buffers take turns.
    One object for all states, and no dictionaries: a process may hold thousands of these.
    """

    __slots__ = ("_arrays", "_on_cpu", "_states", "_values", "turns")

    def __init__(self, states: Sequence[State], streams: int, provider: str) -> None:
        ort = require("onnxruntime")
        device = "cuda" if provider == "cuda" else "cpu"
        self._states = states
        self._on_cpu = device == "cpu"  # then the array and the bound value are the same memory
        arrays = [tuple(np.full(s.sized(streams), s.initial, s.dtype) for s in states)]
        in_place = [state.in_place and self._on_cpu for state in states]
        if not all(in_place):
            pairs = zip(in_place, arrays[0], strict=True)
            arrays.append(tuple(array if same else array.copy() for same, array in pairs))
        distinct = {id(array): array for turn in arrays for array in turn}
        values = {
            key: ort.OrtValue.ortvalue_from_numpy(array, device, 0)
            for key, array in distinct.items()
        }
        self.turns = len(arrays)
        """Buffers that take turns."""
        self._arrays = tuple(arrays)
        self._values = tuple(tuple(values[id(array)] for array in turn) for turn in arrays)

    def bind(self, binding: Any, turn: int) -> None:  # noqa: ANN401 - onnxruntime is untyped
        """Bind the state before a call in `turn` as inputs, the other buffers as outputs."""
        before, after = self._values[turn], self._values[(turn + 1) % self.turns]
        for state, given, taken in zip(self._states, before, after, strict=True):
            binding.bind_ortvalue_input(state.input, given)
            binding.bind_ortvalue_output(state.output, taken)

    def read(self, turn: int) -> dict[str, NDArray[Any]]:
        """Return copies of the states by their input names."""
        arrays = self._arrays[turn]
        if not self._on_cpu:
            arrays = tuple(value.numpy() for value in self._values[turn])
        return {s.input: np.array(a) for s, a in zip(self._states, arrays, strict=True)}

    def write(self, turn: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Replace all states, or none where one does not fit."""
        for state, wanted in zip(self._states, self._arrays[0], strict=True):
            require_like(wanted, values[state.input], state.input)
        for index, state in enumerate(self._states):
            if self._on_cpu:
                self._arrays[turn][index][...] = values[state.input]
            else:
                array = np.ascontiguousarray(values[state.input])
                self._values[turn][index].update_inplace(array)

    def reset(self, turn: int, streams: int | Sequence[int] | None) -> None:
        """Give the initial values to `streams`, or to all."""
        values = self.read(turn)
        for state in self._states:
            rows = np.moveaxis(values[state.input], state.stream_axis, 0)
            try:
                rows[slice(None) if streams is None else streams] = state.initial
            except IndexError:
                raise StreamError(
                    f"cannot reset stream {streams}: there are streams 0 to {len(rows) - 1}"
                ) from None
        self.write(turn, values)


def require_like(wanted: NDArray[Any], array: NDArray[Any], name: str) -> None:
    """Raise `StreamError` unless `array` has the type and the shape of `wanted`."""
    if not isinstance(array, np.ndarray) or array.dtype != wanted.dtype:
        raise StreamError(f"state {name} must be an array of {wanted.dtype}")
    if array.shape != wanted.shape:
        raise StreamError(f"state {name} has shape {array.shape}; this session has {wanted.shape}")


class Call:
    """Input and output memory for calls of one length, bound to the graph once for each turn."""

    __slots__ = ("_bindings", "_run", "frame", "frames", "output", "outputs")

    def __init__(self, model: StreamModel, states: StateMemory, streams: int, frames: int) -> None:
        ort = require("onnxruntime")
        frame, output = model.contract.frame, model.contract.output
        x = np.zeros((streams, frames, frame.size), np.float32)
        y = np.zeros((streams, frames, len(output.labels)), np.float32)
        self.frames: Array = x[0] if streams == 1 else x
        self.outputs: Array = y[0] if streams == 1 else y
        self.frame, self.output = self.frames[..., 0, :], self.outputs[..., 0, :]
        self._run = model.session.run_with_iobinding
        # The bindings keep the values, the views above the memory that these point to.
        given, taken = (ort.OrtValue.ortvalue_from_numpy(array) for array in (x, y))
        self._bindings = tuple(model.session.io_binding() for _ in range(states.turns))
        for turn, binding in enumerate(self._bindings):
            binding.bind_ortvalue_input(frame.name, given)
            binding.bind_ortvalue_output(output.name, taken)
            states.bind(binding, turn)

    def run(self, turn: int) -> None:
        """Run the graph: states of `turn` in, the others out."""
        try:
            self._run(self._bindings[turn])
        except Exception as error:  # onnxruntime raises classes of its own per status code
            raise StreamError(f"ONNX Runtime failed: {str(error).splitlines()[0]}") from None
