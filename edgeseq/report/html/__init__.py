"""Results as one self-contained HTML page."""

from edgeseq.report.html.page import render

__all__ = ["render"]
