"""What values a step graph computes with in use: its state rolls on while it is watched.

A stream's range is that of its thousandth frame, not of its first. So the fp32 graph is run as an
app runs it, one frame a call, every state fed back as the contract in the file says; each stream
starts from the reset state, which is seen too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Contract
from edgeseq.errors import ModelError, UsageError
from edgeseq.extras import require
from edgeseq.graph.branches import expose
from edgeseq.graph.build import read_contract
from edgeseq.graph.edit import copied
from edgeseq.graph.session import quiet_session
from edgeseq.graph.weights import all_nodes, subgraphs
from edgeseq.quantize.ranges import Histogram

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Array = NDArray[np.float32]

_BATCH = 256
"""Calls whose values are kept before they are counted."""


def watch(
    model: "ModelProto",
    values: Sequence[str],
    streams: Sequence[Array],
    *,
    state: Literal["rolling", "zero"] = "rolling",
) -> dict[str, Histogram]:
    """Run `model` over `streams` and count what each of `values` is.

    Args:
        model: an fp32 graph with a contract.
        values: names of values: of the main graph, inputs included, of branches of an `If`, which
            count in calls that take them, or of what the body of a top-level `Scan` makes.
        streams: frames `(T, F)` in raw units; each begins with the initial state.
        state: `rolling`: of a call, what the call before gave. `zero`: always the initial state,
            which is what tools do that know of no state; only to show what that loses.

    Raises:
        UsageError: there are no frames, or they are not the contract's.
        ModelError: there is no contract, a value is not finite, or the graph does not run.
    """
    values = tuple(dict.fromkeys(values))
    runner = _Runner(model, values)
    histograms = {name: Histogram() for name in values}
    kept: list[tuple[NDArray[Any], ...]] = []
    for number, frames in enumerate(streams):
        for seen in runner.calls(_checked(frames, number, runner.contract), state):
            kept.append(seen)
            if len(kept) == _BATCH:
                _count(histograms, kept)
        _count(histograms, kept)
    if any(not histogram.total for histogram in histograms.values()):
        raise UsageError("no stream is long enough for one call; give more frames to calibrate on")
    return histograms


class _Runner:
    """The graph with more outputs, in the plainest loop that streams it."""

    def __init__(self, model: "ModelProto", values: Sequence[str]) -> None:
        contract = read_contract(model, "the graph")
        if contract is None:
            raise ModelError(
                "a graph without a contract cannot be calibrated: which state to feed back is not "
                "known. Quantize a file of a bundle, or use the recipe int8-dynamic"
            )
        self.contract = contract
        self.values = values
        self._inputs = {item.name for item in model.graph.input}
        watched, self._called = _with_outputs(model, values)
        try:
            self._session = quiet_session(watched.SerializeToString(), intra_op_num_threads=1)
        except Exception as error:  # onnxruntime raises classes of its own per status code
            raise ModelError(
                f"ONNX Runtime cannot load the graph to calibrate: {str(error).splitlines()[-1]}"
            ) from None

    def calls(self, frames: Array, state: str) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield the watched values of every call; frames that do not fill a call are left out."""
        contract = self.contract
        rows = contract.streams or 1
        initial = {s.input: np.full(s.sized(rows), s.initial, s.dtype) for s in contract.states}
        nexts = [s.output for s in contract.states]
        watched = [name for name in self.values if name not in self._inputs]
        called = [self._called.get(name, name) for name in watched]
        size = contract.chunk_min
        if contract.form == "sequence":
            size = contract.chunk_max or len(frames)
        before = initial
        for start in range(0, len(frames) - size + 1, size):
            call = np.repeat(frames[None, start : start + size], rows, axis=0)
            feeds: dict[str, NDArray[Any]] = {contract.frame.name: call, **before}
            found = self._session.run([*called, *nexts], feeds)
            seen = feeds | dict(zip(watched, found[: len(watched)], strict=True))
            yield tuple(seen[name] for name in self.values)
            if state == "rolling":
                before = dict(zip(initial, found[len(watched) :], strict=True))


def _with_outputs(
    model: "ModelProto", values: Sequence[str]
) -> "tuple[ModelProto, dict[str, str]]":
    """Return a copy of `model` that also returns `values`, and the names of those of branches."""
    onnx = require("onnx")
    result = copied(model)
    shown = expose(result.graph, values)
    for node in result.graph.node:
        for body in subgraphs(node) if node.op_type == "Scan" else ():
            _let_out(node, body, values)
    there = {item.name for item in (*model.graph.input, *model.graph.output)}
    result.graph.output.extend(
        onnx.helper.make_tensor_value_info(shown.get(name, name), onnx.TensorProto.FLOAT, None)
        for name in values
        if name not in there
    )
    return result, shown


def _let_out(scan: "NodeProto", body: "GraphProto", values: Sequence[str]) -> None:
    """Return those of `values` that the loop's `body` makes from the loop, one a round."""
    onnx = require("onnx")
    made = {name for node in body.node for name in node.output}
    inside = {name: f"{name}_inside" for name in values if name in made}
    for node in all_nodes(body):
        node.input[:] = [inside.get(name, name) for name in node.input]
        node.output[:] = [inside.get(name, name) for name in node.output]
    for item in body.output:
        item.name = inside.get(item.name, item.name)
    for name in inside.values():
        body.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    scan.output.extend(inside)


def _checked(frames: Array, number: int, contract: Contract) -> Array:
    size = contract.frame.size
    if frames.ndim != 2 or frames.shape[1] != size:
        raise UsageError(
            f"calibration stream {number} has shape {frames.shape}; this model takes (T, {size}) "
            f"in raw units: {contract.frame.samples} x {list(contract.frame.channels)}"
        )
    finite = np.isfinite(frames).all(axis=1)
    if not finite.all():
        raise UsageError(
            f"calibration stream {number} holds a value that is not finite in frame "
            f"{int(np.argmin(finite))}; leave such frames out"
        )
    return np.ascontiguousarray(frames, np.float32)


def _count(histograms: Mapping[str, Histogram], kept: list[tuple[NDArray[Any], ...]]) -> None:
    """Count the values that were kept, and let go of them."""
    for (name, histogram), arrays in zip(histograms.items(), zip(*kept, strict=True), strict=False):
        try:
            histogram.add(np.concatenate([array.ravel() for array in arrays]))
        except ValueError:
            raise ModelError(
                f"{name} is not finite on a calibration stream; its range cannot be found"
            ) from None
    kept.clear()
