"""A source that is read once: the first S frames of a stream, and what attention keeps of them.

While the source arrives its frames are collected in `cached_source`. When its last one, frame
S - 1, is there, an encoder runs over all S of them, and the keys and values that it makes fill
`cached_cross`, which is only read from then on, until a reset. Frames from S - 1 on see all of the
source, frames before it nothing.

Both lies in branches of an `If`: a call in which no stream is still reading passes the states on,
and the encoder costs nothing. In a call in which some streams complete their source it runs for
these alone. Which streams those are follows from the position of `edgeseq.export.ring`: it falls
back to W, and S <= W, so no stream is ever below S again.

Every state may be written in place: of each branch one node reads a state, and it is the one that
writes it. What attends reads what was written.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgeseq.contract import State
from edgeseq.export.attention import AttentionSizes, Chunk, Window
from edgeseq.export.positions import rotary_angles
from edgeseq.export.ring import OneFrame
from edgeseq.graph.build import GraphBuilder

if TYPE_CHECKING:
    from onnx import GraphProto

Encode = Callable[[GraphBuilder, str], Sequence[str]]
"""Writes an encoder: graph, sources `(N, S, D)` → keys and values `(N, H, S, K)` of each block."""


class SourceSizes(AttentionSizes, Protocol):
    """Sizes of attention to a source."""

    @property
    def source(self) -> int:
        """Frames in the source (`S`)."""

    @property
    def layers(self) -> int:
        """Blocks that attend to it."""


class Whole(Chunk):
    """Attend from every frame of a source to all of them; `window` is how many there are."""

    @cached_property
    def _rotation(self) -> tuple[str, str]:
        """Cosines and sines, `(1, 1, S, K / 2)`, under names that no other window has."""
        angles = rotary_angles(self.spec.window, self.spec.width // self.spec.heads)
        angles = angles[None, None, : self.spec.window]
        return (
            self.graph.constant(np.cos(angles), "source_cos"),
            self.graph.constant(np.sin(angles), "source_sin"),
        )

    @cached_property
    def _mask(self) -> str:
        return self.graph.constant(0.0)


class Source:
    """How the blocks of a graph attend to the source."""

    def __init__(self, window: Window, spec: SourceSizes, x: str, encode: Encode) -> None:
        """Write what reads and encodes the source.

        Args:
            window: how the blocks attend to the frames before; it knows positions and states.
            spec: sizes.
            x: embedded frames `(N, T, D)`.
            encode: the encoder.
        """
        self.window, self.spec, self.graph = window, spec, window.graph
        self.seen = "" if isinstance(window, OneFrame) else self._seen()
        stateful = bool(window.states)
        self.memory = self._carried(x, encode) if stateful else self._at_once(x, encode)

    def attend(self, layer: int, q: str) -> str:
        """Map queries `(N, T, D)` to `(N, T, D)`: zeros where the source is not complete."""
        graph, heads, width = self.graph, self.spec.heads, self.spec.width
        k, v = self.memory[2 * layer : 2 * layer + 2]
        if not self.seen:  # one frame; a cache that is not filled holds zeros, and so adds none
            q = graph.op("Reshape", q, graph.constant([0, heads, 1, width // heads]))
            y = graph.op("Attention", q, k, v, scale=1.0)  # (N, H, 1, K)
            return graph.op("Reshape", y, graph.constant([0, 1, width]))
        q = graph.op("Reshape", q, graph.constant([0, 0, heads, width // heads]))
        q = graph.op("Transpose", q, perm=[0, 2, 1, 3])  # (N, H, T, K)
        scores = graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 1, 3, 2]))
        y = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v)
        y = graph.op("Transpose", y, perm=[0, 2, 1, 3])
        y = graph.op("Reshape", y, graph.constant([0, 0, width]))
        return graph.op("Where", self.seen, y, graph.constant(0.0))

    def _seen(self) -> str:
        """Return which frames see the source, `(N or 1, T, 1)`."""
        graph = self.graph
        last = graph.constant(self.spec.source - 1, "last_of_source")
        seen = graph.op("GreaterOrEqual", self.window.positions, last)
        return graph.op("Unsqueeze", seen, graph.constant([2]))

    def _at_once(self, x: str, encode: Encode) -> Sequence[str]:
        """Encode the first S frames of a whole sequence, filled up with zeros that none sees."""
        graph, source = self.graph, self.spec.source
        x = graph.op("Pad", x, graph.constant([0, 0, 0, 0, source, 0]))
        bounds = (graph.constant([bound]) for bound in (0, source, 1))
        return encode(graph, graph.op("Slice", x, *bounds))

    def _carried(self, x: str, encode: Encode) -> Sequence[str]:
        """Read and encode where a stream still does; return keys and values of each block."""
        graph, spec = self.graph, self.spec
        source = _source(spec)
        caches = [_cache(i, what, spec) for i in range(spec.layers) for what in ("key", "value")]
        for state in (source, *caches):
            self.window.declare(state)
        least = graph.op("ReduceMin", self.window.positions, keepdims=0)
        graph.ops(
            "If",
            graph.op("Less", least, graph.constant(spec.source, "source_size")),
            to=[source.output, *(cache.output for cache in caches)],
            then_branch=self._reading(x, source, caches, encode),
            else_branch=self._kept("source_kept_", (source, *caches)),
        )
        return [cache.output for cache in caches]

    def _reading(
        self, x: str, source: State, caches: Sequence[State], encode: Encode
    ) -> "GraphProto":
        """Return the branch in which some streams read on and some may complete their source."""
        graph = GraphBuilder("source_read_")
        positions, size = self.window.positions, self.spec.source
        early = graph.op("Less", positions, graph.constant(size))
        frames = graph.op("Transpose", graph.op("NonZero", early), perm=[1, 0])  # (M, 2)
        stream, _ = graph.split(frames, [1, 1], axis=1)
        place = graph.op("GatherND", positions, frames)
        place = graph.op("Unsqueeze", place, graph.constant([1]))
        place = graph.op("Concat", stream, place, axis=1)  # (M, 2): stream, place in its source
        new = graph.op("GatherND", x, frames)  # (M, D)
        read = graph.op("ScatterND", source.input, place, new)  # (N, S, D)
        last = graph.op("NonZero", graph.op("Equal", positions, graph.constant(size - 1)))
        complete = graph.op("Gather", last, graph.constant([0]), axis=0)
        complete = graph.op("Squeeze", complete, graph.constant([0]))  # (C,)
        filled = graph.ops(
            "If",
            graph.op("Greater", graph.op("Size", complete), graph.constant(0)),
            to=[f"source_read_{cache.output}" for cache in caches],
            then_branch=self._completing(read, complete, caches, encode),
            else_branch=self._kept("source_incomplete_", caches),
        )
        return self._returning(graph, [read, *filled], (source, *caches))

    def _completing(
        self, read: str, complete: str, caches: Sequence[State], encode: Encode
    ) -> "GraphProto":
        """Return the branch that encodes the sources of the streams `complete` `(C,)`."""
        graph = GraphBuilder("source_complete_")
        rows = graph.op("Unsqueeze", complete, graph.constant([1]))  # (C, 1)
        memory = encode(graph, graph.op("Gather", read, complete, axis=0))
        filled = [
            graph.op("ScatterND", cache.input, rows, new)
            for cache, new in zip(caches, memory, strict=True)
        ]
        return self._returning(graph, filled, caches)

    def _kept(self, prefix: str, states: Sequence[State]) -> "GraphProto":
        """Return the branch that passes `states` on."""
        graph = GraphBuilder(prefix)
        return self._returning(graph, [graph.op("Identity", s.input) for s in states], states)

    def _returning(
        self, graph: GraphBuilder, values: Sequence[str], states: Sequence[State]
    ) -> "GraphProto":
        for value, state in zip(values, states, strict=True):
            graph.output(value, state.dtype, self.window.size.of(state))
        return graph.graph("branch")


def _source(spec: SourceSizes) -> State:
    return State(
        input="cached_source",
        output="new_cached_source",
        shape=("N", str(spec.source), str(spec.width)),
        dtype="float32",
        meaning=f"the first {spec.source} frames since the reset, embedded; then it stays",
        in_place=True,
    )


def _cache(layer: int, what: str, spec: SourceSizes) -> State:
    return State(
        input=f"cached_cross.{layer}.{what}",
        output=f"new_cached_cross.{layer}.{what}",
        shape=("N", str(spec.heads), str(spec.source), str(spec.width // spec.heads)),
        dtype="float32",
        meaning=f"{what}s of the source for block {layer}; filled once, by frame {spec.source - 1}",
        in_place=True,
    )
