"""What really runs in int8: a census of the graph as ONNX Runtime has optimised it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edgeseq.errors import ModelError
from edgeseq.extras import require
from edgeseq.graph.macs import multiplications
from edgeseq.graph.reasons import TWO_ACTIVATIONS, why_float
from edgeseq.graph.session import quiet_session
from edgeseq.graph.weights import operators, weight_uses
from edgeseq.measured import Census

if TYPE_CHECKING:
    from onnx import ModelProto


def take_census(path: Path, level: str = "all") -> Census:
    """Count the weights that the optimised graph of the ONNX file at `path` multiplies by.

    A file that is called int8 can run in fp32: a quantizer that meets weights it does not
    understand leaves the operator as it is and reports success. `level`: how far ONNX Runtime may
    rewrite it (`basic`, `extended`, `all`).

    Raises:
        ModelError: ONNX Runtime cannot load the file.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    model = optimised_graph(path, level)
    return count(model, require("onnxruntime").__version__, file=require("onnx").load(path))


def count(
    model: "ModelProto", onnxruntime: str = "", *, file: "ModelProto | None" = None
) -> Census:
    """Take the census of a graph that is already optimised by ONNX Runtime `onnxruntime`.

    `file`: what it was before, which has the reasons; none: what is optimised is all there is.
    """
    uses = weight_uses(model)
    total = sum(use.elements for use in uses)
    int8 = sum(use.elements for use in uses if use.int8)
    products = multiplications(model)
    macs = sum(product.macs for product in products or ())
    integer = sum(product.macs for product in products or () if product.integer)
    between = [item.node for item in products or () if not item.weights and not item.integer]
    return Census(
        int8_weights=int8 / total if total else 0.0,
        operators=operators(model),
        float_nodes=tuple(use.node for use in uses if not use.int8),
        onnxruntime=onnxruntime,
        int8_macs=integer / macs if macs else None,
        macs=macs or None,
        reasons=why_float(file or model, model) | dict.fromkeys(between, TWO_ACTIVATIONS),
    )


def optimised_graph(path: Path, level: str = "all") -> "ModelProto":
    """Return the graph that ONNX Runtime runs on this machine's CPU for the file at `path`."""
    ort, onnx = require("onnxruntime"), require("onnx")
    wanted = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
    with TemporaryDirectory() as scratch:
        target = Path(scratch, "optimised.onnx")
        try:
            quiet_session(
                str(path), graph_optimization_level=wanted, optimized_model_filepath=str(target)
            )
            model: ModelProto = onnx.load(target)
        except Exception as error:  # onnxruntime raises classes of its own per status code
            raise ModelError(
                f"ONNX Runtime {ort.__version__} cannot load {path}: "
                f"{str(error).strip().splitlines()[-1]}"
            ) from None
    return model
