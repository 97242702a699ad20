"""The promise of the words int8, int4 and mixed: that integers are multiplied when it runs."""

from pathlib import Path

from edgeseq.bundle import INTEGERS
from edgeseq.check.findings import Finding, kept_within, not_checked
from edgeseq.check.subject import Subject
from edgeseq.errors import ConfigError, UsageError
from edgeseq.extras import available
from edgeseq.graph.census import take_census
from edgeseq.graph.reasons import in_words
from edgeseq.measured import Census
from edgeseq.recipes import Quantization, load_recipe


def census(subject: Subject) -> Finding:
    """The share of weights in integers is what the manifest says, and enough for the name."""
    if subject.variant.precision not in INTEGERS:
        return not_checked("census", f"the variant is {subject.variant.precision}")
    recorded = subject.variant.census
    if recorded is None:
        return Finding("census", "broken", note="the manifest does not say what runs in integers")
    least = _least_share(subject.contract.recipe)
    if not available("onnx"):
        note = f"as recorded with ONNX Runtime {recorded.onnxruntime}; to count again: "
        return _enough(recorded, least, note + 'pip install "edgeseq[tools]"')
    counted = take_census(Path(subject.model.source))
    if not counted.in_name_only and abs(counted.int8_weights - recorded.int8_weights) > 0.005:
        note = f"integer share here, but {recorded.int8_weights:.1%} in the manifest"
        return Finding("census", "broken", measured=counted.int8_weights, note=note)
    return _enough(counted, least, "counted in the optimised graph, = manifest")


def _enough(found: Census, least: float, note: str) -> Finding:
    if found.in_name_only:
        where, reason = next(iter(found.in_name_only.items()))
        more = len(found.in_name_only) - 1
        also = f", and {more} more" if more else ""
        return Finding("census", "broken", f"{where}{also}", 1 - found.int8_weights, note=reason)
    floats = {node: found.reasons.get(node, "not said why") for node in found.float_nodes}
    where = "; ".join(in_words(floats, most=3))
    share = 1 - found.int8_weights
    note = f"share of weights that run in fp32, {note}"
    return kept_within("census", round(share, 6), round(1 - least, 6), where=where, note=note)


def _least_share(recipe: str) -> float:
    """Return the share that the recipe asks for; of an unknown recipe, the usual one."""
    try:
        quantize = load_recipe(recipe).quantize
    except (UsageError, ConfigError):
        quantize = None
    return (quantize or Quantization("dynamic")).int8_share
