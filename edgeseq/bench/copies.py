"""What it costs that frames come from the host and outputs go back to it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.candidate import Array
from edgeseq.bench.latency import turns
from edgeseq.extras import require
from edgeseq.runtime import StreamModel, StreamSession


@dataclass(frozen=True)
class CopyCost:
    """One step as an app calls it, against the same step with all of it on the device already."""

    provider: str
    streams: int
    host_us: float
    """Median of `StreamSession.step`: the frame from the host, the output back to it."""
    device_us: float
    """Median with frame, states and output in device memory, nothing copied to or fro."""
    copies_us: float
    """Median, over rounds, of what the first takes longer than the second."""
    rounds: int


class DeviceStep:
    """The step graph with every input and output bound on the provider's device."""

    def __init__(self, model: StreamModel, streams: int = 1) -> None:
        ort, contract = require("onnxruntime"), model.contract
        device = "cuda" if model.provider == "cuda" else "cpu"

        def place(array: NDArray[Any]) -> Any:  # noqa: ANN401 - onnxruntime is untyped
            return ort.OrtValue.ortvalue_from_numpy(array, device, 0)

        self._arrays = {
            contract.frame.name: np.zeros((streams, 1, contract.frame.size), np.float32),
            contract.output.name: np.zeros((streams, 1, len(contract.output.labels)), np.float32),
        }
        self._frame, self._output = (place(array) for array in self._arrays.values())
        self._run, self._turn = model.session.run_with_iobinding, 0
        fresh = [
            [place(np.full(state.sized(streams), state.initial, state.dtype)) for _ in range(2)]
            for state in contract.states
        ]
        self._bindings = []
        for turn in (0, 1):
            binding = model.session.io_binding()
            binding.bind_ortvalue_input(contract.frame.name, self._frame)
            binding.bind_ortvalue_output(contract.output.name, self._output)
            for state, values in zip(contract.states, fresh, strict=True):
                binding.bind_ortvalue_input(state.input, values[turn])
                binding.bind_ortvalue_output(state.output, values[1 - turn])
            self._bindings.append(binding)

    def place(self, frames: Array) -> None:
        """Copy frames `(N, F)` to the device; they stay there until others come."""
        self._frame.update_inplace(np.ascontiguousarray(frames[:, None]))

    def step(self) -> None:
        """Advance every stream by the frame that lies on the device."""
        self._run(self._bindings[self._turn])
        self._turn ^= 1

    def output(self) -> Array:
        """Copy the outputs `(N, C)` from the device."""
        outputs: Array = np.array(self._output.numpy())[:, 0]
        return outputs


def measure_copies(
    model: StreamModel,
    frames: Array,
    *,
    streams: int = 1,
    rounds: int = 20,
    block: int = 50,
    seed: int = 0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> CopyCost:
    """Time both in turns, on the frames `(T, F)`; the second is fed the first of them for ever.

    ONNX Runtime waits for the device at the end of either call.
    """
    host, device = StreamSession(model, streams=streams), DeviceStep(model, streams)
    rows = np.repeat(frames[:, None], streams, axis=1)  # (T, N, F)
    inputs = list(np.ascontiguousarray(rows[:, 0] if streams == 1 else rows, np.float32))
    device.place(np.ascontiguousarray(rows[0], np.float32))

    def fed(index: int) -> None:
        host.step(inputs[index % len(inputs)])

    def placed(_: int) -> None:
        device.step()

    steps = {"host": fed, "device": placed}
    medians: dict[str, list[float]] = {name: [] for name in steps}
    for order in turns(tuple(steps), rounds, seed):
        for name in order:
            _time(steps[name], max(1, block // 10), clock)  # the other one used the caches
            medians[name].append(float(np.median(_time(steps[name], block, clock))))
    return CopyCost(
        provider=model.provider,
        streams=streams,
        host_us=_micro(np.median(medians["host"])),
        device_us=_micro(np.median(medians["device"])),
        copies_us=_micro(np.median(np.subtract(medians["host"], medians["device"]))),
        rounds=rounds,
    )


def _time(step: Callable[[int], None], count: int, clock: Callable[[], int]) -> NDArray[np.int64]:
    elapsed = np.empty(count, np.int64)
    for index in range(count):
        begin = clock()
        step(index)
        elapsed[index] = clock() - begin
    return elapsed


def _micro(nanoseconds: Any) -> float:  # noqa: ANN401 - a NumPy scalar
    return round(float(nanoseconds) / 1e3, 3)
