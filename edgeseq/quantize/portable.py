"""The promise of `portable`: a file whose answer would depend on the CPU is not written."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgeseq.errors import PromiseError
from edgeseq.graph.portable import ROUNDS, dependences, summary
from edgeseq.recipes import Recipe

if TYPE_CHECKING:
    from onnx import ModelProto


def require_portable(model: "ModelProto", recipe: Recipe, source: Path) -> None:
    """Raise `PromiseError` if `recipe` promises one answer and a node of `model` has several."""
    if recipe.quantize is None or not recipe.quantize.portable:
        return
    found = dependences(model)
    if not found:
        return
    other = "" if all(item.why == ROUNDS for item in found) else "reduce_range = true, or "
    raise PromiseError(
        f'{source.name} would answer differently from CPU to CPU, but "{recipe.name}" promises one '
        f"answer: {summary(found)}; nothing was written. Write {other}portable = false in the "
        "recipe's [quantize]"
    )
