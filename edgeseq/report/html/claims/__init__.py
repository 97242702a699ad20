"""A run of claims as one self-contained page."""

from edgeseq.report.html.claims.page import render

__all__ = ["render"]
