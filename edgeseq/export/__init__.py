"""Weights → step graph with its state contract. What families share lies beside; none is named."""

from dataclasses import replace
from typing import TYPE_CHECKING

from edgeseq.contract import Contract, Form, Frame, Output
from edgeseq.errors import UsageError
from edgeseq.export.ends import Ends, Size
from edgeseq.graph.build import Dimension

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseq.models import SequenceModel


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
        form: what a call computes; see `edgeseq.contract.Contract`.
        streams: number of streams, or `"N"` for any.
        frames: frames a call, or `"T"` for any.
        newest: use the newest operators where they make one frame a call faster.
        producer: who made the file, for its contract.
        recipe: how the file was made, for its contract.

    Raises:
        UsageError: the family has no graph of that form.
    """
    if form not in model.body.forms:
        raise UsageError(
            f"a model of the family {model.spec.family} has no form {form}; it has: "
            + ", ".join(model.body.forms)
        )
    output = replace(output, delay=model.spec.delay)
    ends = Ends(model, Size(frame, output, streams, frames))
    built = model.body.write(ends, form, newest=newest)
    ends.finish(built.outputs)
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
        period=built.period,
    )
    return ends.graph.model(contract, built.target.opset)
