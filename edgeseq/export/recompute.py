"""Attention without a cache: every call computes the last frames anew, which are its state.

It is here to be compared with the ring: the same answers, because the frames that are kept are all
that an answer depends on, for as many times the arithmetic. A counter tells frames from the zeros
that stand for what was before a stream's first, and gives absolute positions their phase.
"""

from functools import cached_property

import numpy as np

from edgeseq.export.attention import Chunk
from edgeseq.export.counter import advance
from edgeseq.export.recent import Recent


class Recomputed(Chunk):
    """Attend among the kept frames and the chunk's, S of them, and answer for the chunk's."""

    def enter(self, x: str, values: int, reach: int) -> str:
        """Put `x` behind the frames before it, and keep the last of both for the next call."""
        self.kept = max(1, reach - 1)
        recent = Recent(self.graph, self.size, self.kept + 1, values, stateful=True)
        self.states += recent.states
        self.together = recent.behind(x)
        return self.together

    def leave(self, x: str) -> str:
        """Return the chunk's own frames, `(N, T, D)`."""
        graph, known = self.graph, self.size.frames
        start = graph.constant([-known]) if isinstance(known, int) else graph.op("Neg", self._own)
        bounds = [np.iinfo(np.int64).max], [1]
        return graph.op("Slice", x, start, *map(graph.constant, bounds))

    @cached_property
    def _own(self) -> str:
        """Frames of the call, `(1,)`."""
        return self.count(self.size.frame.name, axis=1, known=self.size.frames)

    @cached_property
    def frames(self) -> str:
        """Frames that the blocks see, `(1,)`."""
        known = self.size.frames
        every = self.kept + known if isinstance(known, int) else known
        return self.count(self.together, axis=1, known=every)

    @cached_property
    def offsets(self) -> str:
        """0, 1 … for those frames, `(S,)`."""
        known = self.size.frames
        return self.range(self.frames, self.kept + known if isinstance(known, int) else known)

    @cached_property
    def positions(self) -> str:
        """Each frame's place in its stream, `(N, S)`; negative before its first."""
        graph, highest = self.graph, self.kept + 2 * self.spec.window - 1
        meaning = f"frames since the reset; after {highest} follows {self.kept}, so it never grows"
        moved = advance(self, self._own, self.size.frames, self.kept, meaning)
        moved = graph.op("Unsqueeze", moved, graph.constant([1], "axis_1"))  # (N, 1)
        first = graph.op("Sub", moved, self.frames)
        return graph.op("Add", first, self.offsets)

    def seen(self, age: str, near: str) -> str:
        """Return which keys a query may see: none from before the stream's first frame.

        Queries from there see themselves: of nothing at all a softmax makes NaN.
        """
        graph = self.graph
        there = graph.op("GreaterOrEqual", self.positions, graph.constant(0))
        there = graph.op("Unsqueeze", there, graph.constant([1, 2]))  # (N, 1, 1, S)
        itself = graph.op("Equal", age, graph.constant(0))
        return graph.op("And", near, graph.op("Or", there, itself))
