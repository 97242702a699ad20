"""Promises about values: streamed frames against what PyTorch says of the whole sequence."""

import numpy as np

from edgeseq.check.findings import Finding, kept_within, not_checked
from edgeseq.check.parity import STRETCHES
from edgeseq.check.subject import States, Subject

GROWTH = 4.0
"""The last stretch may err this much more than the worst of the first half: more is drift."""

QUIET = 0.1
"""Errors below this part of the tolerance are noise, whether they grow or not."""


def values(subject: Subject) -> Finding:
    """Every output, fed in the shortest calls, is the whole-sequence reference's."""
    parity = subject.parity
    return kept_within(
        "values",
        parity.relative_error,
        subject.variant.tolerance.relative_error,
        where=f"frame {parity.at_step}",
        note=f"largest error / RMS, {_how(subject)} against PyTorch's whole sequence",
        parity=parity,
    )


def noise(subject: Subject) -> Finding:
    """All outputs together are as near the reference as the recipe says."""
    parity = subject.parity
    return kept_within(
        "noise",
        parity.noise,
        subject.variant.tolerance.noise,
        note=f"RMS error / RMS over the run, an SQNR of {parity.sqnr_db:.0f} dB",
    )


def decisions(subject: Subject) -> Finding:
    """The app would be told the same."""
    if subject.contract.output.kind != "logits":
        return not_checked("decisions", "the outputs are values, not classes")
    parity = subject.parity
    return kept_within(
        "decisions",
        parity.changed_decisions,
        subject.variant.tolerance.changed_decisions,
        note=f"share of {parity.steps:,} decisions that change",
    )


def drift(subject: Subject) -> Finding:
    """The error does not grow with the step number."""
    if subject.contract.form == "sequence":
        return not_checked("drift", "a sequence graph carries nothing over")
    parity = subject.parity
    if len(parity.drift) < STRETCHES:
        return not_checked("drift", f"{parity.steps} frames are too few")
    first, last = max(parity.drift[: STRETCHES // 2]), parity.drift[-1]
    floor = QUIET * subject.variant.tolerance.noise / GROWTH
    return kept_within(
        "drift",
        last / max(first, floor),
        GROWTH,
        note="RMS error of the last tenth / the worst tenth of the first half",
    )


def final_state(subject: Subject) -> Finding:
    """The state after the last frame is PyTorch's; in int8 only counters can be."""
    if not subject.final_state:
        return not_checked("final state", "this graph has no state after the whole reference")
    wanted = {
        name: array
        for name, array in subject.final_state.items()
        if subject.exact or array.dtype.kind == "i"
    }
    if not wanted:
        return not_checked("final state", "int8 has a state of its own, and no counter")
    name, error = worst_state(wanted, subject.stepped[1])
    return kept_within(
        "final state",
        error,
        subject.variant.tolerance.relative_error if subject.exact else 0.0,
        where=name,
        note="largest error / RMS" if subject.exact else "counters only: the rest is int8's own",
    )


def worst_state(expected: States, found: States) -> tuple[str, float]:
    """Return the state that differs most, and by how much of its RMS; counters by any amount."""
    errors = {name: _error(array, found[name]) for name, array in expected.items()}
    name = max(errors, key=lambda key: errors[key])
    return name, errors[name]


def _error(expected: np.ndarray, found: np.ndarray) -> float:
    if expected.shape != found.shape:
        return float("inf")
    error = np.abs(found.astype(np.float64) - expected).max()
    if expected.dtype.kind == "i":
        return float(error)
    scale = np.sqrt(np.mean(np.square(expected, dtype=np.float64)))
    return float(error / max(scale, np.finfo(np.float32).tiny)) if np.isfinite(error) else np.inf


def _how(subject: Subject) -> str:
    if subject.contract.form == "sequence":
        return "one call"
    return "frame by frame" if subject.unit == 1 else f"{subject.unit} frames a call"
