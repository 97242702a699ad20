"""Causal attention over the last W frames: a ring of keys and values as states of the graph.

The ring has W slots and every stream its own write position, so streams can be reset, saved and
restored one by one. Frame `t` of a stream lies in slot `t mod W`. The position counts the frames
since the reset; at `3 W` it falls back to `W`: it stays exact for ever, says which slots are still
empty during warm-up, and keeps `t mod W` (slot) and `t mod 2 W` (rotary angle) what they were.

Two graphs of the same state:

- any chunk (`AnyChunk`): the T new keys stand behind the ring, a mask says who sees whom by
  age, and the ring is written last, because it overwrites keys that early queries still need;
- one frame (`OneFrame`): the new key overwrites the one that has just left the window, with
  the operators `TensorScatter` and `Attention` of opset 24.

Every state may be written in place. That holds by data dependency, not by luck: what writes a
state takes its values from the only other node that reads it, so the reader comes first in
whatever order a runtime runs the nodes.
"""

from typing import Protocol

import numpy as np

from edgeseq.contract import State
from edgeseq.export.ends import NEWEST, PORTABLE, Size
from edgeseq.export.positions import rotary_angles
from edgeseq.graph.build import GraphBuilder


class AttentionSizes(Protocol):
    """Sizes of attention over a window."""

    @property
    def width(self) -> int:
        """Values a frame (`D`)."""

    @property
    def heads(self) -> int:
        """Heads (`H`), of `K = D / H` values each."""

    @property
    def window(self) -> int:
        """Frames that a frame can see, itself included (`W`)."""


POSITION = State(
    input="cached_position",
    output="new_cached_position",
    shape=("N",),
    dtype="int64",
    meaning="frames since the reset; after 3 W - 1 follows W, so it never grows",
    in_place=True,
)


def _cache(layer: int, what: str, spec: AttentionSizes) -> State:
    return State(
        input=f"past_key_values.{layer}.{what}",
        output=f"present.{layer}.{what}",
        shape=("N", str(spec.heads), str(spec.window), str(spec.width // spec.heads)),
        dtype="float32",
        meaning=f"{what}s of block {layer}, a ring: frame t lies in slot t mod {spec.window}",
        in_place=True,
    )


class Rings:
    """The ring states of a graph: the position, then keys and values of each block."""

    def __init__(self, graph: GraphBuilder, spec: AttentionSizes, size: Size) -> None:
        self.graph, self.spec, self.size = graph, spec, size
        self.states: list[State] = []

    def declare(self, state: State) -> None:
        """Make `state` an input and an output of the graph."""
        self.states.append(state)
        self.graph.input(state.input, state.dtype, self.size.of(state))
        self.graph.output(state.output, state.dtype, self.size.of(state))

    def advance(self, frames: str, count: "int | str") -> str:
        """Write the position after `frames`, `count` if it is known; return it unwrapped, `(N,)`.

        Nothing else may read the position before: the Add does, and the write waits for it.
        """
        graph, window = self.graph, self.spec.window
        self.declare(POSITION)
        moved = graph.op("Add", POSITION.input, frames)
        # moved < 3 W ? moved : W + (moved - W) mod 2 W, which is W where one frame was added
        wrapped = graph.constant(window, "window")
        if count != 1:
            wrapped = graph.op("Sub", moved, "window")
            wrapped = graph.op("Mod", wrapped, graph.constant(2 * window, "period"))
            wrapped = graph.op("Add", wrapped, "window")
        early = graph.op("Less", moved, graph.constant(3 * window, "wrap"))
        graph.op("Where", early, moved, wrapped, to=POSITION.output)
        return moved

    def angles(self) -> tuple[str, str]:
        """Return the cosines and sines of the rotary angles, `(2 W, K / 2)`."""
        angles = rotary_angles(self.spec.window, self.spec.width // self.spec.heads)
        return (
            self.graph.constant(np.cos(angles), "rotary_cos"),
            self.graph.constant(np.sin(angles), "rotary_sin"),
        )


class OneFrame(Rings):
    """Overwrite the oldest key, then attend to the whole ring."""

    target = NEWEST

    def __init__(self, graph: GraphBuilder, spec: AttentionSizes, size: Size) -> None:
        super().__init__(graph, spec, size)
        moved = self.advance(graph.constant(1, "one"), 1)  # (N,)
        position = graph.op("Sub", moved, "one")
        self.slot = graph.op("Mod", position, graph.constant(spec.window, "slots"))
        self.filled = graph.op("Min", moved, "slots")  # keys the query may see
        self.positions = graph.op("Unsqueeze", position, graph.constant([1]))  # (N, 1)
        self.turn = graph.op("Mod", self.positions, graph.constant(2 * spec.window, "turns"))
        self.tables = self.angles()

    def attend(self, layer: int, qkv: str) -> str:
        """Map queries, keys and values `(N, 1, 3 D)` to `(N, 1, D)`."""
        graph, spec = self.graph, self.spec
        heads, size = spec.heads, spec.width // spec.heads
        qkv = graph.op("Reshape", qkv, graph.constant([0, 3 * heads, 1, size]))  # (N, 3 H, 1, K)
        qk, v = graph.split(qkv, [2 * heads, heads], axis=1)
        qk = graph.op("RotaryEmbedding", qk, *self.tables, self.turn)
        q, k = graph.split(qk, [heads, heads], axis=1)
        rings = []
        for what, new in (("key", k), ("value", v)):
            state = _cache(layer, what, spec)
            self.declare(state)
            scatter = (state.input, new, self.slot)
            rings.append(graph.op("TensorScatter", *scatter, to=state.output, mode="circular"))
        # No mask and no past: ring slots are unordered keys, of which the first `filled` count.
        y = graph.op("Attention", q, *rings, "", "", "", self.filled, scale=1.0)  # (N, H, 1, K)
        return graph.op("Reshape", y, graph.constant([0, 1, spec.width]))


class AnyChunk(Rings):
    """Attend to the ring and to the chunk, then write the chunk's last W keys into the ring."""

    target = PORTABLE

    def __init__(
        self, graph: GraphBuilder, spec: AttentionSizes, size: Size, *, stateful: bool
    ) -> None:
        super().__init__(graph, spec, size)
        self.stateful = stateful
        self.frames = self._count(size.frame.name, axis=1, known=size.frames)  # (1,)
        offsets = self._range(self.frames, size.frames)  # (T,)
        if stateful:
            moved = self.advance(self.frames, size.frames)
            moved = graph.op("Unsqueeze", moved, graph.constant([1], "axis_1"))  # (N, 1)
            self.first = graph.op("Sub", moved, self.frames)
            self.positions = graph.op("Add", self.first, offsets)  # (N, T)
        else:
            self.positions = graph.op("Unsqueeze", offsets, graph.constant([0]))  # (1, T)
        turn = graph.op("Mod", self.positions, graph.constant(2 * spec.window, "turns"))
        axis = graph.constant([1], "heads_axis")
        self.cos, self.sin = (
            graph.op("Unsqueeze", graph.op("Gather", table, turn), axis)  # (N, 1, T, K / 2)
            for table in self.angles()
        )
        self.mask = self._mask(offsets)
        self.slots = self._ring_indices() if stateful else ""
        self.newest = self._newest() if stateful else ""

    def _count(self, value: str, axis: int, known: "int | str") -> str:
        """Return the size `(1,)` of an axis, as a constant where it is known."""
        if isinstance(known, int):
            return self.graph.constant([known])
        return self.graph.op("Shape", value, start=axis, end=axis + 1)

    def _range(self, count: str, known: "int | str") -> str:
        graph = self.graph
        if isinstance(known, int):
            return graph.constant(np.arange(known))
        return graph.op("Range", graph.constant(0), graph.op("Squeeze", count), graph.constant(1))

    def _mask(self, offsets: str) -> str:
        """Return what is added to the scores `(N or 1, 1, T, W + T or T)`: 0 or minus infinity."""
        graph, window = self.graph, self.spec.window
        key = graph.op("Unsqueeze", offsets, graph.constant([0]))  # (1, T)
        if self.stateful:
            key = graph.op("Sub", self.positions, self.first)  # (N, T)
            key = graph.op("Concat", self._ring_offsets(), key, axis=1)  # (N, W + T)
        key = graph.op("Unsqueeze", key, graph.constant([1, 2]))  # (N, 1, 1, W + T)
        query = graph.op("Unsqueeze", offsets, graph.constant([1]))  # (T, 1)
        age = graph.op("Sub", query, key)  # frames from key to query
        seen = graph.op(
            "And",
            graph.op("GreaterOrEqual", age, graph.constant(0)),
            graph.op("Less", age, graph.constant(window)),
        )
        return graph.op("Where", seen, graph.constant(0.0), graph.constant(np.float32(-np.inf)))

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
        streams = self._count(POSITION.input, axis=0, known=self.size.streams)
        stream = self._range(streams, self.size.streams)
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

    def attend(self, layer: int, qkv: str) -> str:
        """Map queries, keys and values `(N, T, 3 D)` to `(N, T, D)`."""
        graph, spec = self.graph, self.spec
        heads, size = spec.heads, spec.width // spec.heads
        qkv = graph.op("Reshape", qkv, graph.constant([0, 0, 3 * heads, size]))
        qkv = graph.op("Transpose", qkv, perm=[0, 2, 1, 3])  # (N, 3 H, T, K)
        qk, v = graph.split(qkv, [2 * heads, heads], axis=1)
        q, k = graph.split(self._rotate(qk), [heads, heads], axis=1)
        if self.stateful:
            k, v = self._through_ring(layer, "key", k), self._through_ring(layer, "value", v)
        scores = graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = graph.op("Add", scores, self.mask)  # (N, H, T, W + T)
        y = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v)  # (N, H, T, K)
        y = graph.op("Transpose", y, perm=[0, 2, 1, 3])
        return graph.op("Reshape", y, graph.constant([0, 0, spec.width]))

    def _rotate(self, x: str) -> str:
        graph, half = self.graph, self.spec.width // self.spec.heads // 2
        a, b = graph.split(x, [half, half], axis=3)

        def mul(x: str, y: str) -> str:
            return graph.op("Mul", x, y)

        turned_a = graph.op("Sub", mul(a, self.cos), mul(b, self.sin))
        turned_b = graph.op("Add", mul(a, self.sin), mul(b, self.cos))
        return graph.op("Concat", turned_a, turned_b, axis=3)

    def _through_ring(self, layer: int, what: str, new: str) -> str:
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
