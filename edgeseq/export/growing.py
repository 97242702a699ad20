"""Attention with a cache of all keys and values since the reset, as language models export it.

It is here to be compared with the ring: the same answers, because the mask lets no frame see more
than the last W, from a state that grows by a frame a frame until memory ends. All streams of a call
are as old as each other, for they share the axis that grows; a part of them cannot be reset.
"""

from functools import cached_property

from edgeseq.contract import State
from edgeseq.export.attention import AttentionSizes, Chunk


def _cache(layer: int, what: str, spec: AttentionSizes) -> State:
    return State(
        input=f"past_key_values.{layer}.{what}",
        output=f"present.{layer}.{what}",
        shape=("N", str(spec.heads), "P", str(spec.width // spec.heads)),
        dtype="float32",
        meaning=f"{what}s of block {layer}, of all P frames since the reset: it grows for ever",
    )


class Growing(Chunk):
    """Attend to all that came before and to the chunk, and remember both."""

    @cached_property
    def past(self) -> str:
        """Frames before the call, `(1,)`."""
        first = _cache(0, "key", self.spec)
        self.declare(first)
        return self.count(first.input, axis=2, known="P")

    @cached_property
    def positions(self) -> str:
        """Each frame's place in its stream, `(1, T)`."""
        at = self.graph.op("Add", self.offsets, self.past)
        return self.graph.op("Unsqueeze", at, self.graph.constant([0]))

    def keys(self) -> str:
        """Return the frame of each key, relative to the call's first, `(1, P + T)`."""
        graph = self.graph
        every = self.range(graph.op("Add", self.past, self.frames), "P + T")
        return graph.op("Unsqueeze", graph.op("Sub", every, self.past), graph.constant([0]))

    def remembered(self, layer: int, what: str, new: str) -> str:
        """Put `new` behind what came before; that is also the next state."""
        state = _cache(layer, what, self.spec)
        _ = self.past  # declares the first
        if state not in self.states:
            self.declare(state)
        return self.graph.op("Concat", state.input, new, axis=2, to=state.output)
