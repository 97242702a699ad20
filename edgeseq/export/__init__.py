"""Weights → step graph with its state contract."""

from typing import TYPE_CHECKING, Literal

from edgeseq.contract import Contract, Frame, Output
from edgeseq.errors import UsageError
from edgeseq.export import gru, lstm, transformer
from edgeseq.export.graph import Built, Size, finish
from edgeseq.graph.build import Dimension

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseq.models import SequenceModel

Form = Literal["step", "sequence"]


def build_graph(
    model: "SequenceModel",
    frame: Frame,
    output: Output,
    *,
    form: Form = "step",
    streams: Dimension = "N",
    frames: Dimension = "T",
    newest: bool = False,
    producer: str,
    recipe: str,
) -> "ModelProto":
    """Return the ONNX graph of `model` with its contract.

    Args:
        model: trained weights, in evaluation mode, on the CPU.
        frame: what the graph takes.
        output: what the graph returns.
        form: `step` carries state; `sequence` starts every call from the reset state.
        streams: number of streams, or `"N"` for any.
        frames: frames a call, or `"T"` for any.
        newest: use the newest operators where they make one frame a call faster.
        producer: who made the file, for its contract.
        recipe: how the file was made, for its contract.
    """
    size = Size(frame, output, streams, frames)
    built = _build(model, size, form, newest=newest)
    finish(built, model, size)
    contract = Contract(
        frame=frame,
        output=output,
        states=built.states,
        form=form,
        min_onnxruntime=built.target.min_onnxruntime,
        producer=producer,
        recipe=recipe,
        streams=streams if isinstance(streams, int) else None,
        chunk_min=frames if isinstance(frames, int) else 1,
        chunk_max=frames if isinstance(frames, int) else None,
    )
    return built.graph.model(contract, built.target.opset)


def _build(model: "SequenceModel", size: Size, form: Form, *, newest: bool) -> Built:
    from edgeseq.models import GRUSpec, LSTMSpec, TransformerSpec

    stateful = form == "step"
    match model.spec:
        case LSTMSpec() as spec:
            return lstm.build(model, spec, size, stateful=stateful)
        case GRUSpec() as spec:
            return gru.build(model, spec, size, stateful=stateful)
        case TransformerSpec() as spec if newest and stateful:
            return transformer.build_step(model, spec, size)
        case TransformerSpec() as spec:
            return transformer.build_chunk(model, spec, size, stateful=stateful)
    raise UsageError(f"no exporter for {type(model.spec).__name__}")
