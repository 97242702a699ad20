"""The essay's sentences about LSTM and Transformer as hypotheses: one module a claim.

A claim states what is measured and by which rule it is judged, as code, before anything is run.
"""

from edgeseq.claims.verdict import Part, Verdict, Word, combine

__all__ = ["Part", "Verdict", "Word", "combine"]
