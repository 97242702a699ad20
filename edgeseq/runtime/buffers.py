"""Memory of a stream that is bound to the graph once: its state, its frames, its outputs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.errors import StreamError
from edgeseq.extras import require
from edgeseq.runtime.model import StreamModel

Array = NDArray[np.float32]


class StateBuffer:
    """Memory of one state: one buffer if it may be written in place, or two that take turns.

    In place is what ONNX Runtime's CPU provider was seen to do right. Other providers have
    kernels of their own (cuDNN's LSTM promises nothing), so there the buffers take turns.
    """

    __slots__ = ("_arrays", "_on_cpu", "_values", "state")

    def __init__(self, state: State, streams: int, provider: str) -> None:
        ort = require("onnxruntime")
        self.state = state
        device = "cuda" if provider == "cuda" else "cpu"
        self._on_cpu = device == "cpu"  # then the array and the bound value are the same memory
        shape, dtype = state.sized(streams), np.dtype(state.dtype)
        count = 1 if state.in_place and self._on_cpu else 2
        self._arrays = [np.full(shape, state.initial, dtype) for _ in range(count)]
        self._values = [
            ort.OrtValue.ortvalue_from_numpy(array, device, 0) for array in self._arrays
        ]

    @property
    def turns(self) -> int:
        """Buffers that take turns."""
        return len(self._values)

    def value(self, turn: int) -> Any:  # noqa: ANN401 - onnxruntime is untyped
        """Return the bound value that holds the state before a call in `turn`."""
        return self._values[turn % len(self._values)]

    def read(self, turn: int) -> NDArray[Any]:
        """Return a copy of the state."""
        if self._on_cpu:
            return self._arrays[turn % len(self._arrays)].copy()
        return np.array(self.value(turn).numpy())

    def write(self, turn: int, array: NDArray[Any]) -> None:
        """Replace the state."""
        if self._on_cpu:
            self._arrays[turn % len(self._arrays)][...] = array
        else:
            self.value(turn).update_inplace(np.ascontiguousarray(array))

    def accept(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return `array` if it can be this state, else raise."""
        wanted = self._arrays[0]
        if not isinstance(array, np.ndarray) or array.dtype != wanted.dtype:
            raise StreamError(f"state {self.state.input} must be an array of {wanted.dtype}")
        if array.shape != wanted.shape:
            raise StreamError(
                f"state {self.state.input} has shape {array.shape}; this session has {wanted.shape}"
            )
        return array

    def reset(self, turn: int, streams: int | Sequence[int] | None) -> None:
        """Give the initial value to `streams`, or to all."""
        array = self.read(turn)
        rows = np.moveaxis(array, self.state.stream_axis, 0)
        try:
            rows[slice(None) if streams is None else streams] = self.state.initial
        except IndexError:
            raise StreamError(
                f"cannot reset stream {streams}: there are streams 0 to {len(rows) - 1}"
            ) from None
        self.write(turn, array)


class Call:
    """Input and output memory for calls of one length, bound to the graph once for each turn."""

    __slots__ = ("_bindings", "_run", "frame", "frames", "output", "outputs")

    def __init__(
        self,
        model: StreamModel,
        states: list[StateBuffer],
        streams: int,
        frames: int,
        turns: Iterable[int],
    ) -> None:
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
        self._bindings = []
        for turn in turns:
            binding = model.session.io_binding()
            binding.bind_ortvalue_input(frame.name, given)
            binding.bind_ortvalue_output(output.name, taken)
            for buffer in states:
                binding.bind_ortvalue_input(buffer.state.input, buffer.value(turn))
                binding.bind_ortvalue_output(buffer.state.output, buffer.value(turn + 1))
            self._bindings.append(binding)

    def run(self, turn: int) -> None:
        """Run the graph: states of `turn` in, the others out."""
        try:
            self._run(self._bindings[turn])
        except Exception as error:  # onnxruntime raises classes of its own per status code
            raise StreamError(f"ONNX Runtime failed: {str(error).splitlines()[0]}") from None
