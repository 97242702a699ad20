"""The position of a stream as a state: it counts frames and falls back, so it stays exact."""

from edgeseq.contract import State
from edgeseq.export.attention import Window


def advance(window: Window, frames: str, count: "int | str", least: int, meaning: str) -> str:
    """Write the position after `frames`, `count` if it is known; return it unwrapped, `(N,)`.

    Nothing else may read the position before: the Add does, and the write waits for it.

    Args:
        window: declares the state; its period is 2 W.
        frames: how many frames the call has, `(1,)` or `()`.
        count: the same as a number, where it is known.
        least: what the position falls back to, a period after it was there first.
        meaning: for people.
    """
    graph, spec = window.graph, window.spec
    period = 2 * spec.window
    if spec.positions in ("sinusoidal", "learned"):
        meaning += f"; absolute positions repeat every 2 W = {period} frames, as in training"
    state = State("cached_position", "new_cached_position", ("N",), "int64", meaning, in_place=True)
    window.declare(state)
    moved = graph.op("Add", state.input, frames)
    # With L the least: moved < L + 2 W ? moved : L + (moved - L) mod 2 W, which is L where one
    # frame was added.
    wrapped = graph.constant(least, "least")
    if count != 1:
        wrapped = graph.op("Sub", moved, "least")
        wrapped = graph.op("Mod", wrapped, graph.constant(period, "period"))
        wrapped = graph.op("Add", wrapped, "least")
    early = graph.op("Less", moved, graph.constant(least + period, "wrap"))
    graph.op("Where", early, moved, wrapped, to=state.output)
    return moved
