"""Causal attention over the last W frames: a ring of keys and values as states of the graph.

The ring has W slots and every stream its own write position, so streams can be reset, saved and
restored one by one. Frame `t` of a stream lies in slot `t mod W`. The position counts the frames
since the reset; at `3 W` it falls back to `W`: it stays exact for ever, says which slots are still
empty during warm-up, and keeps `t mod W` (slot) and `t mod 2 W` (rotary angle, absolute position)
what they were. Relative positions follow from the age of a slot.

Two graphs of the same state:

- any chunk (`AnyChunk`): the T new keys stand behind the ring, a mask says who sees whom by
  age, and the ring is written last, because it overwrites keys that early queries still need;
- one frame (`OneFrame`): the new key overwrites the one that has just left the window, with
  the operators `TensorScatter` and `Attention` of opset 24.

Every state may be written in place. That holds by data dependency, not by luck: what writes a
state takes its values from the only other node that reads it, so the reader comes first in
whatever order a runtime runs the nodes.
"""

from functools import cached_property

import numpy as np

from edgeseq.contract import State
from edgeseq.export.attention import AttentionSizes, Chunk, Distances, Window
from edgeseq.export.counter import advance
from edgeseq.export.ends import NEWEST, Size
from edgeseq.graph.build import GraphBuilder

_COUNTED = "frames since the reset; after 3 W - 1 follows W, so it never grows"


def _cache(layer: int, what: str, spec: AttentionSizes) -> State:
    return State(
        input=f"past_key_values.{layer}.{what}",
        output=f"present.{layer}.{what}",
        shape=("N", str(spec.heads), str(spec.window), str(spec.width // spec.heads)),
        dtype="float32",
        meaning=f"{what}s of block {layer}, a ring: frame t lies in slot t mod {spec.window}",
        in_place=True,
    )


class OneFrame(Window):
    """Overwrite the oldest key, then attend to the whole ring."""

    target = NEWEST

    def __init__(self, graph: GraphBuilder, spec: AttentionSizes, size: Size) -> None:
        super().__init__(graph, spec, size)
        moved = advance(self, graph.constant(1, "one"), 1, spec.window, _COUNTED)  # (N,)
        position = graph.op("Sub", moved, "one")
        self.slot = graph.op("Mod", position, graph.constant(spec.window, "slots"))
        self.filled = graph.op("Min", moved, "slots")  # keys the query may see
        self._position = position

    @cached_property
    def positions(self) -> str:
        """Each stream's frame, `(N, 1)`."""
        return self.graph.op("Unsqueeze", self._position, self.graph.constant([1]))

    def attend(self, layer: int, qkv: str, distances: Distances | None = None) -> str:
        """Map queries, keys and values `(N, 1, 3 D)` to `(N, 1, D)`, or both time first."""
        graph, spec = self.graph, self.spec
        q, k, v = self._apart(qkv)
        rings = []
        for what, new in (("key", k), ("value", v)):
            state = _cache(layer, what, spec)
            self.declare(state)
            scatter = (state.input, new, self.slot)
            rings.append(graph.op("TensorScatter", *scatter, to=state.output, mode="circular"))
        # No past: ring slots are unordered keys, of which the first `filled` count.
        bias = "" if distances is None else self._biases(layer, distances)
        y = graph.op("Attention", q, *rings, bias, "", "", self.filled, scale=1.0)  # (N, H, 1, K)
        shape = [1, -1, spec.width] if self.time_first else [0, 1, spec.width]
        return graph.op("Reshape", y, graph.constant(shape))

    def _apart(self, qkv: str) -> tuple[str, str, str]:
        """Cut `(N, 1, 3 D)` into queries, keys and values `(N, H, 1, K)`, rotated if need be."""
        graph, heads, size = self.graph, self.spec.heads, self.spec.width // self.spec.heads
        streams = -1 if self.time_first else 0
        shape = graph.constant([streams, 3 * heads, 1, size])
        qkv = graph.op("Reshape", qkv, shape)  # (N, 3 H, 1, K)
        if self.spec.positions != "rotary":
            q, k, v = graph.split(qkv, [heads, heads, heads], axis=1)
            return q, k, v
        qk, v = graph.split(qkv, [2 * heads, heads], axis=1)
        qk = graph.op("RotaryEmbedding", qk, *self._tables, self.turn)
        q, k = graph.split(qk, [heads, heads], axis=1)
        return q, k, v

    @cached_property
    def _tables(self) -> tuple[str, str]:
        return self.angles()

    @cached_property
    def _ages(self) -> str:
        """How many frames ago each slot was written, `(N, 1, W)`."""
        graph, window = self.graph, self.spec.window
        slot = graph.op("Unsqueeze", self.slot, graph.constant([1, 2]))  # (N, 1, 1)
        behind = graph.op("Sub", slot, graph.constant(np.arange(window)))
        return graph.op("Mod", behind, "slots")

    def _biases(self, layer: int, distances: Distances) -> str:
        """Return what is added to the scores, `(N, H, 1, W)`."""
        graph = self.graph
        table = graph.constant(distances, f"blocks.{layer}.attention.distances")
        biases = graph.op("Gather", table, self._ages, axis=1)  # (H, N, 1, W)
        return graph.op("Transpose", biases, perm=[1, 0, 2, 3])


class AnyChunk(Chunk):
    """Attend to the ring and to the chunk, then write the chunk's last W keys into the ring."""

    def __init__(self, graph: GraphBuilder, spec: AttentionSizes, size: Size) -> None:
        super().__init__(graph, spec, size)
        self.slots = self._ring_indices()
        self.newest = self._newest()

    @cached_property
    def first(self) -> str:
        """Each stream's position before the call, `(N, 1)`."""
        graph = self.graph
        moved = advance(self, self.frames, self.size.frames, self.spec.window, _COUNTED)
        moved = graph.op("Unsqueeze", moved, graph.constant([1], "axis_1"))  # (N, 1)
        return graph.op("Sub", moved, self.frames)

    @cached_property
    def positions(self) -> str:
        """The positions of the chunk's frames, `(N, T)`."""
        return self.graph.op("Add", self.first, self.offsets)

    def keys(self) -> str:
        """Return the frame of each slot, then of the chunk's own, `(N, W + T)`."""
        graph = self.graph
        own = graph.op("Sub", self.positions, self.first)  # (N, T)
        return graph.op("Concat", self._ring_offsets(), own, axis=1)

    def _ring_offsets(self) -> str:
        """Return each slot's frame relative to the chunk's first, `(N, W)`; empty: far away."""
        graph, window = self.graph, self.spec.window
        counted = graph.constant(np.arange(1, window + 1), "slots_counted")
        behind = graph.op("Mod", graph.op("Sub", self.first, counted), graph.constant(window))
        offset = graph.op("Sub", graph.constant(-1), behind)  # -1 is the frame just before
        filled = graph.op("LessOrEqual", counted, self.first)
        return graph.op("Where", filled, offset, graph.constant(-2 * window))

    def _ring_indices(self) -> str:
        """Return where the chunk's last W keys go, `(N, H, min(T, W), 3)`: stream, head, slot."""
        graph, heads = self.graph, self.spec.heads
        slot = self._last(self.positions, axis=1)
        slot = graph.op("Mod", slot, graph.constant(self.spec.window, "slots"))  # (N, T')
        slot = graph.op("Unsqueeze", slot, graph.constant([1]))  # (N, 1, T')
        streams = self.count(self.states[0].input, axis=0, known=self.size.streams)
        stream = self.range(streams, self.size.streams)
        stream = graph.op("Unsqueeze", stream, graph.constant([1, 2]))  # (N, 1, 1)
        head = graph.constant(np.arange(heads)[None, :, None])  # (1, H, 1)
        zero = graph.op(
            "Mul", graph.op("Add", graph.op("Add", slot, stream), head), graph.constant(0)
        )
        parts = [graph.op("Add", part, zero) for part in (stream, head, slot)]  # (N, H, T')
        last = graph.constant([-1], "last_axis")
        return graph.op("Concat", *(graph.op("Unsqueeze", part, last) for part in parts), axis=-1)

    def _last(self, value: str, axis: int) -> str:
        """Return the last W frames of `value`, or all where there are fewer."""
        return self._from(value, self.graph.constant([-self.spec.window]), axis)

    def _from(self, value: str, start: str, axis: int) -> str:
        bounds = [np.iinfo(np.int64).max], [axis]
        return self.graph.op("Slice", value, start, *(self.graph.constant(b) for b in bounds))

    def _newest(self) -> str:
        """Return where the chunk's last W keys begin behind a ring: T + W less those, `(1,)`."""
        graph, window, known = self.graph, self.spec.window, self.size.frames
        if isinstance(known, int):
            return graph.constant([max(known, window)])
        return graph.op("Max", self.frames, graph.constant(window))

    def remembered(self, layer: int, what: str, new: str) -> str:
        """Write `new` into the ring; return the ring before with the chunk behind it.

        What is written is cut from the very concatenation that attention reads: a copy of the
        ring is made before the first slot is overwritten, also in place.
        """
        graph = self.graph
        state = _cache(layer, what, self.spec)
        self.declare(state)
        together = graph.op("Concat", state.input, new, axis=2)  # (N, H, W + T, K)
        newest = self._from(together, self.newest, axis=2)
        graph.op("ScatterND", state.input, self.slots, newest, to=state.output)
        return together
