"""The promise that a file answers the same on every CPU, as far as its integers go."""

from pathlib import Path

from edgeseq.check.findings import Finding, kept_if, not_checked
from edgeseq.check.subject import Subject
from edgeseq.errors import ConfigError, UsageError
from edgeseq.extras import available, require
from edgeseq.graph.portable import SATURATES, dependences, summary
from edgeseq.recipes import load_recipe

_FLOATS = ("fp32", "fp16")


def portable(subject: Subject) -> Finding:
    """No integer product depends on the CPU, unless the recipe says that it may.

    On a device whose profile asks for `reduce_range` none may saturate, whatever the recipe says.
    """
    if subject.variant.precision in _FLOATS:
        return not_checked("portable", f"the variant is {subject.variant.precision}")
    if not available("onnx"):
        return not_checked("portable", 'to look: pip install "edgeseq[tools]"')
    found = dependences(require("onnx").load(Path(subject.model.source)))
    device, recipe = subject.device, subject.contract.recipe
    if device and device.quantize.reduce_range:
        saturating = [item for item in found if item.why == SATURATES]
        if saturating:
            return kept_if("portable", [f"on {device.name}: {summary(saturating)}"])
    if found and not _promised(recipe):
        return not_checked("portable", f"{recipe} does not promise it: {summary(found)}")
    return kept_if(
        "portable", [summary(found)] if found else [], "no integer product depends on the CPU"
    )


def _promised(recipe: str) -> bool:
    """Say whether the recipe promises it; one that is not here might not."""
    try:
        quantize = load_recipe(recipe).quantize
    except (UsageError, ConfigError):
        return False
    return quantize is None or quantize.portable
