"""Promises about streaming: any chunking, many streams, reset, snapshot, and no end."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgeseq.check.findings import Finding, kept_if, kept_within, not_checked
from edgeseq.check.parity import Array
from edgeseq.check.subject import NO_RING, States, Subject, call, initial_state
from edgeseq.check.values import worst_state
from edgeseq.measured import Parity
from edgeseq.runtime.stream import LONGEST_CALL

ROWS = 3
"""Streams that share a call."""

ROUNDS = 8
"""Windows that a stream without end is followed for; the counter wraps after three."""


def chunks(subject: Subject) -> Finding:
    """Whole = frame by frame = any chunking: calls of 1, W - 1, W, W + 1 and random lengths."""
    contract = subject.contract
    if contract.form == "sequence":
        return not_checked("chunks", "a sequence graph takes the whole sequence")
    if contract.chunk_min == contract.chunk_max:
        return not_checked("chunks", f"it takes {contract.chunk_min} a call, no more, no less")
    worst: tuple[float, str, Parity | None] = (-1.0, "", None)
    for title, cuts in _cuttings(subject):
        outputs, state = subject.chunked(cuts)
        parity = subject.compare(subject.expected, outputs)
        found = [(parity.relative_error, f"{title}, frame {parity.at_step}", parity)]
        if subject.exact:
            name, error = worst_state(subject.stepped[1], state)
            found.append((error, f"{title}, {name} after the last frame", parity))
        worst = max(worst, *found, key=lambda item: item[0] if item[0] == item[0] else np.inf)
    return kept_within(
        "chunks",
        worst[0],
        subject.variant.tolerance.relative_error,
        where=worst[1],
        note=f"largest error / RMS against {_against(subject)}",
        parity=worst[2],
    )


def _cuttings(subject: Subject) -> Iterator[tuple[str, list[int]]]:
    total = len(subject.frames)
    middles = NO_RING if subject.window is None else (subject.window,)
    sizes = {1, *(size + by for size in middles for by in (-1, 0, 1))}
    for size in sorted(size for size in sizes if 1 <= size <= total):
        yield f"chunks of {size}", [size] * (total // size) + [total % size] * bool(total % size)
    rng = np.random.default_rng(subject.seed)
    marks = np.sort(rng.choice(np.arange(1, total), min(24, total - 1), replace=False))
    yield "random chunks", np.diff([0, *marks, total]).tolist()


def bound_memory(subject: Subject) -> Finding:
    """State fed back through bound memory, in place or in turns, = state copied, bit for bit.

    Also in calls of many frames: a ring that is overwritten before it is read gives a single
    frame the right answer, because the slot it overwrites has just left the window.
    """
    contract = subject.contract
    if contract.form == "sequence":
        return not_checked("bound memory", "a sequence graph has no state")
    unit, total = subject.unit, len(subject.frames)
    mistakes = _differences(subject.stepped, subject.chunked([unit] * (total // unit)))
    size = min(LONGEST_CALL, (subject.window or NO_RING[0]) + 1, contract.chunk_max or total)
    if size > unit:
        cuts = [size] * (total // size) + [total % size] * bool(total % size)
        found = _differences(subject.chunked(cuts), subject.bound(size))
        mistakes += [f"calls of {size}: {mistake}" for mistake in found]
    in_place = sum(item.in_place for item in contract.states)
    note = f"StreamSession = plain calls, bit for bit; {in_place} states written in place"
    return kept_if("bound memory", mistakes, note)


def reset(subject: Subject) -> Finding:
    """A stream that was reset is a fresh one, bit for bit."""
    if subject.contract.form == "sequence":
        return not_checked("reset", "a sequence graph has no state")
    part = _part(subject)
    initial = initial_state(subject.contract, subject.streams)
    with subject.session() as session:
        subject.step_through(session, np.ascontiguousarray(subject.frames[::-1][: len(part)]))
        session.reset()
        state = session.state
        mistakes = [
            f"{name} is not the initial value after a reset"
            for name, array in initial.items()
            if not np.array_equal(state[name], array)
        ]
        again = subject.step_through(session, part)
    mistakes += _first_difference(subject.stepped[0][: len(part)], again)
    return kept_if("reset", mistakes, f"{len(part)} frames after a reset = fresh, bit for bit")


def snapshot(subject: Subject) -> Finding:
    """A stream restored from a saved state goes on as if never interrupted, bit for bit."""
    if subject.contract.form == "sequence":
        return not_checked("snapshot", "a sequence graph has no state")
    part = _part(subject)
    middle = len(part) // 2 // subject.unit * subject.unit
    expected = subject.stepped[0][middle : len(part)]
    with subject.session() as session, subject.session() as other:
        subject.step_through(session, part[:middle])
        saved = session.state
        subject.step_through(session, part[middle:])  # what was saved must be a copy
        session.state = saved
        mistakes = _first_difference(expected, subject.step_through(session, part[middle:]))
        other.state = saved
        mistakes += _first_difference(expected, subject.step_through(other, part[middle:]))
    note = f"saved at frame {middle}, restored here and in a new session, bit for bit"
    return kept_if("snapshot", mistakes, note)


def streams(subject: Subject) -> Finding:
    """Streams in one call do not see each other, also when they are reset at different times."""
    contract = subject.contract
    if contract.streams == 1:
        return not_checked("streams", "it takes exactly 1 stream")
    count = contract.streams or ROWS
    found = _sequences if contract.form == "sequence" else _rows_reset
    if contract.grows:
        found = _rows_together
    worst, where = max(found(subject, count), key=lambda item: item[0].relative_error)
    return kept_within(
        "streams",
        worst.relative_error,
        subject.variant.tolerance.relative_error,
        where=where,
        note=f"largest error / RMS of {count} streams a call against {_against(subject)}",
        parity=worst,
    )


def _rows_reset(subject: Subject, count: int) -> Iterator[tuple[Parity, str]]:
    """Feed each row the reference from its own last reset; yield how it compares."""
    part, unit = _part(subject), subject.unit
    calls = len(part) // unit
    rng = np.random.default_rng(subject.seed)
    again = [{0}, *({int(at) for at in rng.integers(1, calls, 2)} for _ in range(count - 1))]
    ages = np.zeros(count, dtype=int)  # frames since each row's reset
    outputs, wanted = [], []
    with subject.session(count) as session:
        for index in range(calls):
            rows = [row for row in range(count) if index in again[row]]
            if rows:
                session.reset(rows)
                ages[rows] = 0
            at = ages[:, None] + np.arange(unit)  # (N, unit)
            block = part[at] if count > 1 else part[at[0]]
            outputs.append(session.run(block).reshape(count, unit, -1))
            wanted.append(subject.expected[at])
            ages += unit
    for row in range(count):
        expected, found = (np.concatenate([o[row] for o in side]) for side in (wanted, outputs))
        parity = subject.compare(expected, found)
        yield parity, f"stream {row}, frame {parity.at_step}"


def _rows_together(subject: Subject, count: int) -> Iterator[tuple[Parity, str]]:
    """Feed the reference beside other streams that are as old, first and last."""
    part = _part(subject)
    rows = np.stack([part, *[part[::-1]] * (count - 1)])
    for row, batch in ((0, rows), (count - 1, rows[::-1])):
        with subject.session(count) as session:
            calls = np.split(batch, range(subject.unit, len(part), subject.unit), axis=1)
            outputs = np.concatenate([session.run(np.ascontiguousarray(c)) for c in calls], axis=1)
        parity = subject.compare(subject.expected[: len(part)], outputs[row])
        yield parity, f"stream {row}, frame {parity.at_step}"


def _sequences(subject: Subject, count: int) -> Iterator[tuple[Parity, str]]:
    """Put the reference among other sequences, first and last; yield how it compares."""
    rows = np.stack([subject.frames, *[subject.frames[::-1]] * (count - 1)])
    for row, batch in ((0, rows), (count - 1, rows[::-1])):
        outputs, _ = call(subject.model, batch, {})
        parity = subject.compare(subject.expected, outputs[row])
        yield parity, f"stream {row}, frame {parity.at_step}"


def endless(subject: Subject) -> Finding:
    """A stream may run for ever: no counter in its state grows once it had time to wrap."""
    contract = subject.contract
    counters = [state.input for state in contract.states if state.dtype == "int64"]
    if contract.form == "sequence":
        return not_checked("endless", "a sequence graph has no state")
    if contract.grows:
        note = f"it cannot: the state grows by design, {contract.state_bytes:,} bytes a frame"
        return not_checked("endless", note)
    if not counters:
        return Finding("endless", "kept", note="fixed shapes and no counter in the state")
    window = subject.window or NO_RING[-1]
    size = min(window, contract.chunk_max or window) // subject.unit * subject.unit or subject.unit
    calls = -(-ROUNDS * window // size)
    if window % size:  # the count comes round only after many calls: each half must see them all
        calls = max(calls, 2 * (3 * window // size + 2 * window // math.gcd(size, 2 * window)))
    highest = [max(int(state[name].max()) for name in counters)
               for state in _followed(subject, calls, size)]  # fmt: skip
    early, late = max(highest[: calls // 2]), max(highest[calls // 2 :])
    return kept_within(
        "endless",
        late,
        early,
        where=", ".join(counters),
        note=f"largest count in the second half of {calls * size} frames / in the first",
    )


def _followed(subject: Subject, calls: int, size: int) -> Iterator[States]:
    frames = np.resize(subject.frames, (calls * size, subject.frames.shape[1]))
    rows = np.stack([frames] * subject.streams)
    state = initial_state(subject.contract, subject.streams)
    for start in range(0, calls * size, size):
        _, state = call(subject.model, rows[:, start : start + size], state)
        yield state


def _part(subject: Subject) -> Array:
    """Return enough frames for a ring to go round, in whole calls."""
    wanted = max(256, 4 * (subject.window or 0)) // subject.unit * subject.unit
    return subject.frames[: max(wanted, 2 * subject.unit)]


def _against(subject: Subject) -> str:
    if subject.exact:
        return "frame by frame" if subject.unit == 1 else "a stream alone"
    if subject.variant.calibration:
        return "PyTorch"
    return "PyTorch; int8 rounds by a scale of the whole call, so no two ways are equal"


def _differences(expected: tuple[Array, States], found: tuple[Array, States]) -> list[str]:
    states = [
        f"{name} differs after the last frame"
        for name, array in expected[1].items()
        if not np.array_equal(array, found[1][name])
    ]
    return _first_difference(expected[0], found[0]) + states


def _first_difference(expected: NDArray[np.float32], found: NDArray[np.float32]) -> list[str]:
    differs = ~np.all(expected == found, axis=1)
    if not differs.any():
        return []
    frame = int(differs.argmax())
    by = float(np.abs(found[frame] - expected[frame]).max())
    return [f"frame {frame} differs by {by:.2g}"]
