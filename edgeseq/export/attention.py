"""Causal attention over the last W frames in graphs: what every way to remember them shares.

Two kinds of graph look at a window: `Chunk`, for any number of frames a call, knows by age who sees
whom; `edgeseq.export.ring.OneFrame` has newer operators. A `Chunk` by itself remembers nothing: it
is the sequence graph. Its subclasses put what they remember before its keys: `AnyChunk` of
`edgeseq.export.ring`, and for comparison those of `edgeseq.export.growing` and `.recompute`.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import State
from edgeseq.export.ends import PORTABLE, Size, Target
from edgeseq.export.positions import rotary_angles
from edgeseq.families import PositionKind
from edgeseq.graph.build import GraphBuilder

Distances = NDArray[np.float64]
"""Relative positions: what is added to the scores of each head at each distance, `(H, W)`."""


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

    @property
    def positions(self) -> PositionKind:
        """How it knows the order of frames."""


class Window(ABC):
    """How the blocks of one graph attend, and the states that it declares for that."""

    target: Target
    time_first = False
    """Whether frames come `(T, N, D)`, as recurrent operators have them; attention turns its values
    anyway."""

    def __init__(self, graph: GraphBuilder, spec: AttentionSizes, size: Size) -> None:
        self.graph, self.spec, self.size = graph, spec, size
        self.states: list[State] = []

    @abstractmethod
    def attend(self, layer: int, qkv: str, distances: Distances | None = None) -> str:
        """Map queries, keys and values `(N, T, 3 D)` to `(N, T, D)`, or both time first."""

    def declare(self, state: State) -> None:
        """Make `state` an input and an output of the graph."""
        self.states.append(state)
        self.graph.input(state.input, state.dtype, self.size.of(state))
        self.graph.output(state.output, state.dtype, self.size.after(state))

    def enter(self, x: str, values: int, reach: int) -> str:
        """Return the frames `(N, S, I)` that the blocks see of a call's `(N, T, I)`.

        Args:
            x: normalised frames.
            values: of a frame (`I`).
            reach: frames that an answer depends on, over all blocks.
        """
        return x

    def leave(self, x: str) -> str:
        """Return of what the blocks made of those `(N, S, D)` the call's own, `(N, T, D)`."""
        return x

    @property
    @abstractmethod
    def positions(self) -> str:
        """Each frame's place in its stream, `(N or 1, T)`."""

    @cached_property
    def turn(self) -> str:
        """Each frame's place in a period of 2 W frames, `(N or 1, T)`."""
        graph = self.graph
        return graph.op("Mod", self.positions, graph.constant(2 * self.spec.window, "turns"))

    def angles(self) -> tuple[str, str]:
        """Return the cosines and sines of the rotary angles, `(2 W, K / 2)`."""
        angles = rotary_angles(self.spec.window, self.spec.width // self.spec.heads)
        return (
            self.graph.constant(np.cos(angles), "rotary_cos"),
            self.graph.constant(np.sin(angles), "rotary_sin"),
        )


class Chunk(Window):
    """Attend within a call of any number of frames, to keys of the last W frames."""

    target = PORTABLE

    @cached_property
    def frames(self) -> str:
        """How many frames the blocks see, `(1,)`."""
        return self.count(self.size.frame.name, axis=1, known=self.size.frames)

    @cached_property
    def offsets(self) -> str:
        """0, 1 … for those frames, `(T,)`."""
        return self.range(self.frames, self.size.frames)

    @cached_property
    def positions(self) -> str:
        """Each frame's place in its stream, `(N or 1, T)`."""
        return self.graph.op("Unsqueeze", self.offsets, self.graph.constant([0]))

    def keys(self) -> str:
        """Return the frame of each key, relative to the call's first, `(N or 1, S)`."""
        return self.graph.op("Unsqueeze", self.offsets, self.graph.constant([0]))

    def remembered(self, layer: int, what: str, new: str) -> str:
        """Return all keys or values `(N, H, S, K)`, the `new` ones `(N, H, T, K)` last."""
        return new

    def seen(self, age: str, near: str) -> str:
        """Return which keys a query may see of those that are `near` enough."""
        return near

    def count(self, value: str, axis: int, known: "int | str") -> str:
        """Return the size `(1,)` of an axis, as a constant where it is known."""
        if isinstance(known, int):
            return self.graph.constant([known])
        return self.graph.op("Shape", value, start=axis, end=axis + 1)

    def range(self, count: str, known: "int | str") -> str:
        """Return 0, 1 … below `count` `(1,)`."""
        graph = self.graph
        if isinstance(known, int):
            return graph.constant(np.arange(known))
        return graph.op("Range", graph.constant(0), graph.op("Squeeze", count), graph.constant(1))

    def attend(self, layer: int, qkv: str, distances: Distances | None = None) -> str:
        """Map queries, keys and values `(N, T, 3 D)` to `(N, T, D)`, or both time first."""
        graph, spec = self.graph, self.spec
        apart, together = ([1, 2, 0, 3], [2, 0, 1, 3]) if self.time_first else ([0, 2, 1, 3],) * 2
        heads, size = spec.heads, spec.width // spec.heads
        qkv = graph.op("Reshape", qkv, graph.constant([0, 0, 3 * heads, size]))
        qkv = graph.op("Transpose", qkv, perm=apart)  # (N, 3 H, T, K)
        if spec.positions == "rotary":
            qk, v = graph.split(qkv, [2 * heads, heads], axis=1)
            q, k = graph.split(self._rotate(qk), [heads, heads], axis=1)
        else:
            q, k, v = graph.split(qkv, [heads, heads, heads], axis=1)
        k, v = self.remembered(layer, "key", k), self.remembered(layer, "value", v)
        scores = graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 1, 3, 2]))
        bias = self._mask if distances is None else self._biases(layer, distances)
        scores = graph.op("Add", scores, bias)  # (N, H, T, S)
        y = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v)  # (N, H, T, K)
        y = graph.op("Transpose", y, perm=together)
        return graph.op("Reshape", y, graph.constant([0, 0, spec.width]))

    @cached_property
    def _ages(self) -> tuple[str, str]:
        """Frames from key to query, `(N or 1, 1, T, S)`, and which of them may be seen."""
        graph = self.graph
        key = graph.op("Unsqueeze", self.keys(), graph.constant([1, 2]))  # (N, 1, 1, S)
        query = graph.op("Unsqueeze", self.offsets, graph.constant([1]))  # (T, 1)
        age = graph.op("Sub", query, key)
        seen = graph.op(
            "And",
            graph.op("GreaterOrEqual", age, graph.constant(0)),
            graph.op("Less", age, graph.constant(self.spec.window)),
        )
        return age, self.seen(age, seen)

    @cached_property
    def _mask(self) -> str:
        """What is added to the scores `(N or 1, 1, T, S)`: 0 or minus infinity."""
        graph, (_, seen) = self.graph, self._ages
        return graph.op("Where", seen, graph.constant(0.0), graph.constant(np.float32(-np.inf)))

    @cached_property
    def _rows(self) -> str:
        """Where to look distances up, `(N or 1, T, S)`: the age, or W for what is not seen."""
        graph, (age, seen) = self.graph, self._ages
        row = graph.op("Where", seen, age, graph.constant(self.spec.window))
        return graph.op("Squeeze", row, graph.constant([1]))

    def _biases(self, layer: int, distances: Distances) -> str:
        """Return what is added to the scores, `(N or 1, H, T, S)`."""
        graph = self.graph
        unseen = np.full((len(distances), 1), -np.inf)
        table = np.concatenate([distances, unseen], axis=1)  # (H, W + 1)
        table_name = graph.constant(table, f"blocks.{layer}.attention.distances")
        biases = graph.op("Gather", table_name, self._rows, axis=1)  # (H, N, T, S)
        return graph.op("Transpose", biases, perm=[1, 0, 2, 3])

    @cached_property
    def _rotation(self) -> tuple[str, str]:
        """Cosines and sines of each frame's angles, `(N or 1, 1, T, K / 2)`."""
        graph, axis = self.graph, self.graph.constant([1], "heads_axis")
        cos, sin = (
            graph.op("Unsqueeze", graph.op("Gather", table, self.turn), axis)
            for table in self.angles()
        )
        return cos, sin

    def _rotate(self, x: str) -> str:
        """Turn each pair `(x[j], x[j + K / 2])` of `(N, H, T, K)` by its frame's angle."""
        graph, half = self.graph, self.spec.width // self.spec.heads // 2
        a, b = graph.split(x, [half, half], axis=3)
        cos, sin = self._rotation

        def mul(x: str, y: str) -> str:
            return graph.op("Mul", x, y)

        turned_a = graph.op("Sub", mul(a, cos), mul(b, sin))
        turned_b = graph.op("Add", mul(a, sin), mul(b, cos))
        return graph.op("Concat", turned_a, turned_b, axis=3)
