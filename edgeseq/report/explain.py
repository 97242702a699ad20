"""An explanation as a terminal and as JSON: what was decided, what mattered, who agrees."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.explain.explanation import Explanation
from edgeseq.report.numbers import percent, short
from edgeseq.report.sheet import Sheet
from edgeseq.report.soak import sparkline

SHOWN = 12
"""Channels in the table; of more, those that matter most."""
PEAKS = 3
"""Stretches that are named."""
DIGITS = 6
"""Significant digits of a number in JSON."""

Exact = NDArray[np.float64]


def headline(explanation: Explanation) -> str:
    """Say in one line what was decided, when."""
    target = explanation.target
    if target.output.kind == "logits":
        said = f"“{target.label}” with {percent(float(np.exp(explanation.score)), 1)}"
    else:
        said = f"{target.label} = {short(explanation.score, 4)} {target.unit}".rstrip()
    seconds = (explanation.at + 1) / explanation.frame.rate_hz
    return f"{said} at frame {explanation.at:,}, after {short(seconds)} s"


def subject(explanation: Explanation) -> str:
    """Say what decided, and on what."""
    family = f"{explanation.family}, " if explanation.family else ""
    return f"{family}{explanation.source}, on {explanation.input}"


def peaks(importance: Exact) -> list[tuple[int, int]]:
    """Return the stretches that matter most, first and last frame, strongest first.

    A stretch is what lies around a peak and matters at least half as much; none is named that
    matters less than half of the first.
    """
    left = importance.copy()
    found: list[tuple[int, int]] = []
    largest = importance.max(initial=0.0)
    while len(found) < PEAKS and largest > 0 and left.max() >= largest / 2:
        top = int(left.argmax())
        below = left < left[top] / 2
        before, after = np.flatnonzero(below[:top]), np.flatnonzero(below[top:])
        first = int(before[-1]) + 1 if len(before) else 0
        last = top + int(after[0]) - 1 if len(after) else len(left) - 1
        found.append((first, last))
        left[first : last + 1] = -1
    return found


def named(stretches: Sequence[tuple[int, int]]) -> str:
    """Write stretches: `82-85, 40`."""
    return ", ".join(f"{a:,}" if a == b else f"{a:,}-{b:,}" for a, b in stretches) or "none"


def sheets(explanation: Explanation) -> list[Sheet]:
    """Return what the terminal shows."""
    return [
        Sheet((), (), (headline(explanation), f"by {subject(explanation)}")),
        _methods(explanation),
        *_channels(explanation),
        *([Sheet((), (), notes)] if (notes := tuple(_notes(explanation))) else []),
    ]


def _methods(explanation: Explanation) -> Sheet:
    agreements = explanation.agreements() if len(explanation.measures) > 1 else {}
    importance = {measure.name: measure.importance for measure in explanation.measures}
    rows = []
    for name in dict.fromkeys([*importance, *agreements]):
        found, values = agreements.get(name), importance.get(name)
        beyond = found.beyond if found else None
        rows.append(
            (
                name,
                short(found.rank, 2) if found else "",
                "" if beyond is None else short(beyond, 2),
                "" if values is None else named(peaks(values)),
                "" if values is None else sparkline(tuple(values)),
            )
        )
    columns = (
        "method", "agrees with occlusion>", "beyond recency>", "frames that matter most",
        "first to last",
    )  # fmt: skip
    return Sheet(columns, tuple(rows))


def shares(explanation: Explanation) -> list[tuple[str, float, Exact]]:
    """Return each channel's name, its share in what all channels matter, and its importance."""
    if explanation.occlusion is None or len(explanation.frame.channels) < 2:
        return []
    importance = np.abs(explanation.occlusion.channels)  # (channels, T)
    total = importance.sum() or 1.0
    return [
        (name, float(row.sum() / total), row)
        for name, row in zip(explanation.frame.channels, importance, strict=True)
    ]


def _channels(explanation: Explanation) -> list[Sheet]:
    found = sorted(shares(explanation), key=lambda item: -item[1])[:SHOWN]
    rows = tuple(
        (name, percent(share, 1), named(peaks(row)), sparkline(tuple(row)))
        for name, share, row in found
    )
    columns = ("channel", "share>", "frames that matter most", "first to last")
    return [Sheet(columns, rows)] if rows else []


def _notes(explanation: Explanation) -> list[str]:
    said = list(dict.fromkeys(explanation.missing.values()))
    if explanation.occlusion:
        said.insert(
            0,
            f"Occlusion: {_frames(explanation.width)} at a time replaced by what says nothing; how "
            f"much the score changes, in {explanation.target.unit or 'its unit'}",
        )
    return said


def _frames(count: int) -> str:
    return f"{count:,} frame{'' if count == 1 else 's'}"


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON values, every number of it."""
    target, occlusion = explanation.target, explanation.occlusion
    found: dict[str, Any] = {
        "source": explanation.source,
        "family": explanation.family,
        "input": explanation.input,
        "at": explanation.at,
        "label": target.label,
        "score": _rounded(explanation.score),
        "unit": target.unit,
        "width": explanation.width,
        "importance": {m.name: _rounded(m.importance) for m in explanation.measures},
        "agreement": {
            name: {"rank": _rounded(value.rank)}
            | ({} if value.beyond is None else {"beyond_recency": _rounded(value.beyond)})
            for name, value in explanation.agreements().items()
        },
        "missing": dict(explanation.missing),
    }
    if occlusion:
        channels = zip(explanation.frame.channels, occlusion.channels, strict=True)
        found["change"] = _rounded(occlusion.change)
        found["channels"] = {name: _rounded(change) for name, change in channels}
    found["gates"] = [
        {"layer": layer.layer, "cell": layer.cell, "candidate": _rounded(layer.candidate)}
        | {name: _rounded(values) for name, values in layer.activations.items()}
        for layer in explanation.gates
    ]
    found["attention"] = [
        {"layer": layer.layer, "first": layer.first, "weights": _rounded(layer.weights)}
        for layer in explanation.attention
    ]
    return found


def _rounded(values: Exact | float) -> Any:  # noqa: ANN401 - JSON values
    """Return numbers with so many significant digits, in lists as deep as the array."""
    if isinstance(values, np.ndarray):
        return [_rounded(value) for value in values]
    return float(f"{float(values):.{DIGITS}g}")
