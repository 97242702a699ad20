"""The last W frames as a state of the graph, for models that compute every answer anew from them.

The state shifts: the frames of a call stand behind those before it, every window is cut from that,
and the last `W - 1` are the state of the next call. It needs no counter: before a stream's first
frame lie zeros, which are average frames.
"""

import numpy as np

from edgeseq.contract import State
from edgeseq.export.ends import Size
from edgeseq.graph.build import GraphBuilder


class Recent:
    """Cuts the window of every frame of a call; declares the state where there is one."""

    def __init__(
        self, graph: GraphBuilder, size: Size, window: int, values: int, *, stateful: bool
    ) -> None:
        """Get ready to cut windows.

        Args:
            graph: that is being written.
            size: how many streams and frames a call has.
            window: frames in a window (`W`), from 2 up.
            values: of a normalised frame (`I`).
            stateful: whether frames before the call are a state; else there were none.
        """
        self.graph, self.size, self.window = graph, size, window
        self.states: list[State] = [_state(window, values)] if stateful else []
        for state in self.states:
            graph.input(state.input, state.dtype, size.of(state))
            graph.output(state.output, state.dtype, size.of(state))

    def windows(self, x: str) -> str:
        """Map frames `(N, T, I)` to the W frames that end with each, `(N, T, W, I)`."""
        graph, frames = self.graph, self.size.frames
        recent = self.behind(x)  # (N, W - 1 + T, I)
        if frames == 1:
            return graph.op("Unsqueeze", recent, graph.constant([1], "window_axis"))
        if isinstance(frames, int):
            first = graph.constant(np.arange(frames)[:, None], "window_starts")  # (T, 1)
        else:
            count = graph.op("Squeeze", graph.op("Shape", x, start=1, end=2))
            first = graph.op("Range", graph.constant(0), count, graph.constant(1))
            first = graph.op("Unsqueeze", first, graph.constant([1], "window_axis"))
        offsets = graph.constant(np.arange(self.window), "window_offsets")
        return graph.op("Gather", recent, graph.op("Add", first, offsets), axis=1)

    def behind(self, x: str) -> str:
        """Put `x` behind the frames before it, and keep the last of both for the next call.

        The state is cut from the concatenation, the only node that reads the state before: it may
        be written in place.
        """
        graph, before = self.graph, self.window - 1
        if not self.states:
            return graph.op("Pad", x, graph.constant([0, before, 0, 0, 0, 0], "before"))
        recent = graph.op("Concat", self.states[0].input, x, axis=1)
        bounds = [-before], [np.iinfo(np.int64).max], [1]
        graph.op("Slice", recent, *map(graph.constant, bounds), to=self.states[0].output)
        return recent


def _state(window: int, values: int) -> State:
    return State(
        input="cached_frames",
        output="new_cached_frames",
        shape=("N", str(window - 1), str(values)),
        dtype="float32",
        meaning=f"the {window - 1} frames before, normalised, oldest first; 0 where there was none",
        in_place=True,
    )
