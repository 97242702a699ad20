"""Proof: whole sequence = frame by frame = any chunking, from the bundle alone."""

from edgeseq.check.findings import CheckReport, Finding
from edgeseq.check.parity import compare, decision_rule
from edgeseq.check.run import PROMISES, check_bundle

__all__ = [
    "PROMISES",
    "CheckReport",
    "Finding",
    "check_bundle",
    "compare",
    "decision_rule",
]
