"""The essay's sentences about LSTM and Transformer as hypotheses: one module a claim.

A claim states what is measured and by which rule it is judged, as code, before anything is run.
"""

from typing import Literal

CLAIMS = (
    "range",
    "train-speed",
    "latency",
    "order",
    "explain",
    "data",
    "hardware",
    "bottleneck",
    "edge",
    "scale",
    "hybrid",
    "gru",
    "patches",
    "choose",
)
"""Every claim by name, in the order of the essay: a claim is one file here and one line there."""

Budget = Literal["10m", "1h", "full"]
"""How much is measured; `edgeseq.claims.plan.SCALES` says what each buys."""
