"""Many results of `bench` as one self-contained HTML page."""

from edgeseq.report.html.results.page import render

__all__ = ["render"]
