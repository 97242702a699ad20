"""Why a model decided as it did: what of the input mattered, told from outside and from inside.

From outside, of anything that predicts: `occlusion`. From inside: what gates and attention let
through, see `inside`, which `edgeseq.train.inside` looks up in a PyTorch module.
"""

from edgeseq.explain.agreement import agreement, agreement_beyond
from edgeseq.explain.explanation import Agreement, Explanation, Measure
from edgeseq.explain.inside import Attended, Gates, attended_importance, gated_importance
from edgeseq.explain.occlusion import Occlusion, Stretches, occlude
from edgeseq.explain.target import Target, neutral

__all__ = [
    "Agreement",
    "Attended",
    "Explanation",
    "Gates",
    "Measure",
    "Occlusion",
    "Stretches",
    "Target",
    "agreement",
    "agreement_beyond",
    "attended_importance",
    "gated_importance",
    "neutral",
    "occlude",
]
