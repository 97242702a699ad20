"""What a process's memory consists of, each part by an instrument of its own."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_MIB = 2.0**20
Report = dict[str, Any]


@dataclass(frozen=True)
class Breakdown:
    """Resident memory of a fresh process after its steps, in MiB, and what it consists of.

    The total is RSS, counted page by page (`smaps_rollup`), not PSS or USS: those divide or leave
    out the pages of libraries that other processes have mapped, so they fall when the process that
    started the benchmark has ONNX Runtime loaded, too. RSS is what a device with this one process
    would hold. Interpreter and runtime come from another process, the empty twin: the same
    program with a session that does nothing. Weights, arena, state and freed memory are what
    malloc says (`mallinfo2`), less what it says in the twin. So the sum need not be the total, and
    what is left is printed: pages that are only partly used, and whatever was allocated past
    malloc and Python.
    """

    total_mib: float
    interpreter_mib: float
    """Python, NumPy and edgeseq, before ONNX Runtime is imported, in the twin."""
    runtime_mib: float
    """ONNX Runtime and a session that does nothing, after its steps, in the twin."""
    code_mib: float
    """More pages of files than the twin has resident: kernels that this model touches."""
    weights_mib: float
    """Heap that opening the model takes: weights, packed weights, the graph's own structures."""
    arena_mib: float
    """Heap that steps take and keep: the runtime's arena, intermediate values, caches of plans."""
    state_mib: float
    """Heap that one more session takes: state, frame and output buffers."""
    freed_mib: float
    """Heap that was freed, most of it while the model was opened, and that malloc keeps."""
    python_mib: float
    """Python's small objects, from its own statistics: manifest, contract, session."""
    unexplained_mib: float
    """Total minus all of these."""
    unexplained_share: float
    """Its size over the total, 0 to 1."""
    unexplained_share_of_added: float | None
    """Its size over what the model adds to interpreter and runtime; none if it adds nothing."""


def break_down(model: Sequence[Report], twin: Sequence[Report]) -> Breakdown | None:
    """Return medians over processes, or none where the system does not tell all of it."""
    try:
        parts = {name: _over(model, twin, part) for name, part in _PARTS.items()}
    except (KeyError, TypeError):  # a reading that is not there, or none
        return None
    rest = 2 * parts["total_mib"] - sum(parts.values())
    added = parts["total_mib"] - parts["interpreter_mib"] - parts["runtime_mib"]
    return Breakdown(
        **parts,
        unexplained_mib=round(rest, 4),
        unexplained_share=round(abs(rest) / parts["total_mib"], 4),
        unexplained_share_of_added=round(abs(rest) / added, 4) if added > 0 else None,
    )


def _arena(report: Report) -> float:
    return float(report["heap_steps"] - report["heap_session"])


_PARTS: dict[str, Callable[[Report, Report], float]] = {
    "total_mib": lambda model, _: model["after"]["rss"],
    "interpreter_mib": lambda _, twin: twin["interpreter"]["rss"],
    "runtime_mib": lambda _, twin: twin["after"]["rss"] - twin["interpreter"]["rss"],
    "code_mib": lambda model, twin: model["files"] - twin["files"],
    "weights_mib": lambda model, twin: model["heap_weights"] - twin["heap_weights"],
    "arena_mib": lambda model, twin: _arena(model) - _arena(twin),
    "state_mib": lambda model, twin: model["heap_session"] - twin["heap_session"],
    "freed_mib": lambda model, twin: model["heap_kept"] - twin["heap_kept"],
    "python_mib": lambda model, twin: model["python"] - twin["python"],
}
"""Each part of a process and of the twin that ran in the same round, in bytes."""


def _over(
    model: Sequence[Report], twin: Sequence[Report], part: Callable[[Report, Report], float]
) -> float:
    pairs = zip(model, twin, strict=True)
    return round(statistics.median(part(*pair) for pair in pairs) / _MIB, 4)
