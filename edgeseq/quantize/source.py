"""The fp32 file that is quantized, and what its contract becomes."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseq.contract import Contract
from edgeseq.errors import ModelError
from edgeseq.extras import require
from edgeseq.graph.build import read_contract
from edgeseq.recipes import Recipe

if TYPE_CHECKING:
    from onnx import ModelProto


def read(source: Path) -> "ModelProto":
    """Read an ONNX file; a `ModelError` says why it cannot be."""
    try:
        model: ModelProto = require("onnx").load(source)
    except Exception as error:  # protobuf, onnx and the system each raise their own
        raise unreadable(source, error) from None
    return model


def unreadable(source: Path, error: Exception) -> ModelError:
    """Return what to raise where a file makes no sense to onnx."""
    return ModelError(
        f"cannot read {source} as ONNX: {str(error) or type(error).__name__}. "
        "If the file is cut or damaged, export again"
    )


def renamed_contract(
    model: "ModelProto", recipe: Recipe, producer: str, source: Path
) -> Contract | None:
    """Return the model's contract, if it has one, with a new recipe and, unless empty, producer."""
    contract = read_contract(model, str(source))
    if contract is None:
        return None
    producer = producer or contract.producer
    return dataclasses.replace(contract, recipe=recipe.name, producer=producer)
