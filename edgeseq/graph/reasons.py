"""Why a node multiplies in floats: what the file holds against what ONNX Runtime made of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeseq.graph.weights import Constant, WeightUse, constants_of, weight_uses
from edgeseq.measured import FOLDED, UNFUSED

if TYPE_CHECKING:
    from onnx import ModelProto

UNPACKED = "its weights are stored as integers, and unpacked to floats in every product"
TWO_ACTIVATIONS = "it multiplies two activations, which no recipe quantizes"
_WITHOUT_INTEGERS = ("Attention", "ConvTranspose", "Einsum", "GRU", "RNN")
"""Operators that ONNX Runtime's CPU provider has no integer kernel for."""


def why_float(file: "ModelProto", optimised: "ModelProto") -> dict[str, str]:
    """Return the reason for every node of `optimised` that multiplies weights in floats.

    Args:
        file: the graph as it is stored.
        optimised: the same as ONNX Runtime has optimised it.
    """
    constants = constants_of(file)
    return {use.node: _reason(use, constants) for use in weight_uses(optimised) if not use.int8}


def in_words(reasons: Mapping[str, str], most: int = 4) -> tuple[str, ...]:
    """Return one sentence a reason: the first `most` nodes that it is true of, and the reason."""
    nodes: dict[str, list[str]] = {}
    for node, reason in reasons.items():
        nodes.setdefault(reason, []).append(node)
    return tuple(
        f"{', '.join(found[:most])}{' …' if len(found) > most else ''}: {reason}"
        for reason, found in nodes.items()
    )


def _reason(use: WeightUse, constants: Mapping[str, Constant]) -> str:
    if use.operator == "MatMulNBits":
        return UNPACKED
    if use.stored:
        return UNFUSED
    found = [constants[name] for name in use.values if name in constants]
    # What ONNX Runtime folds keeps the name of the value that held it.
    if any(constant.bits <= 8 for constant in found):
        return FOLDED
    if use.operator in _WITHOUT_INTEGERS:
        return f"ONNX Runtime has no integer {use.operator}"
    makers = sorted({constant.made_by for constant in found} - {""})
    if makers:
        return f"its weights are made by {', '.join(makers)}, and recipes take initializers only"
    if len(found) < len(use.values):
        return "its weights are made by ONNX Runtime when it loads the file"
    return f"its weights are fp{max(constant.bits for constant in found)} in the file"
