"""A compact encoder-decoder: what came first is read both ways, once; all that follows asks it.

The first `source` frames of a stream are its source. When the last of them is there, an encoder
without causality reads all of them (Vaswani et al. 2017, arXiv:1706.03762), and every decoder
block keeps keys and values of what it made. The decoder is a causal windowed Transformer from the
first frame on: each of its blocks first asks the source, if that is complete, then the frames
before. Frame `source - 1` is the first that sees the source, all of it; so there is an output at
every frame, and each follows from frames up to its own.

Nothing replaces the source before a reset: a stream that began badly is to be reset.

Sizes: N streams, T frames, F values per frame, S source frames, D width, H heads, K = D / H,
M feed-forward units, W window, C outputs.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends, Size
from edgeseq.export.layers import linear, norm
from edgeseq.export.source import Source, Whole
from edgeseq.families import PositionKind
from edgeseq.graph.build import GraphBuilder
from edgeseq.models.attention import Attention, Block, final_position, write_window
from edgeseq.models.blocks import shares
from edgeseq.models.family import Body, Family, Spec
from edgeseq.models.positions import width_mistakes
from edgeseq.models.sizes import block_parameters, check_sizes, too_few

SHARE = 4
"""One frame of so many in a window is source, unless asked otherwise: of the crops of a forecast
that is less than their warm-up, and in two seconds of `har` two thirds of all frames can ask it."""


@dataclass(frozen=True)
class EncoderDecoderSpec(Spec):
    """Sizes of an encoder-decoder."""

    family = "encoder-decoder"

    width: int
    feed_forward: int
    source: int = 16
    """First frames of a stream, which the encoder reads."""
    encoder_layers: int = 1
    layers: int = 2
    """Blocks of the decoder."""
    heads: int = 4
    window: int = 64
    """Frames that a frame of the decoder can see, itself included, and the source besides."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        mistakes = width_mistakes(self)
        if self.source > self.window:  # positions fall back to W, and must not look new
            mistakes += (f"source: {self.source} is more than window = {self.window}",)
        check_sizes(self.family, asdict(self), mistakes)

    @property
    def positions(self) -> PositionKind:
        """How frames know how far they are from each other."""
        return "rotary"

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        block = block_parameters(self.width, self.feed_forward)
        cross = 4 * self.width**2 + 2 * self.width
        ends = (inputs + 1 + outputs + 4 + self.source) * self.width
        return ends + self.encoder_layers * block + self.layers * (block + cross)

    @classmethod
    def sized(cls, parameters: int, inputs: int, outputs: int, context: int = 64) -> Self:
        """Return the widest model of usual shape within `parameters`, M near 4 D.

        That is one block that reads and two that follow, with four heads; one and two where there
        is no room for those.
        """
        source = max(1, context // SHARE)
        for layers, heads in ((2, 4), (1, 2), (1, 1)):
            shape = {"source": source, "layers": layers, "heads": heads, "window": context}
            step, squares = 2 * heads, 12 * cls.encoder_layers + 16 * layers
            width = max(step, step * round(math.sqrt(parameters / squares) / step))
            for wide in range(width, 0, -step):  # wide frames leave less for the blocks
                room = parameters - cls(wide, 1, **shape).parameters(inputs, outputs)
                if room >= 0:
                    more = room // (2 * wide * (cls.encoder_layers + layers))
                    return cls(wide, 1 + more, **shape)
        what = f"an encoder-decoder with {inputs} inputs and {outputs} outputs"
        raise too_few(what, parameters, parameters - room)


class Bidirectional(Attention):
    """Self-attention of all frames to all; the window is how many there are."""

    def weights(self, x: Tensor) -> Tensor:
        """Return how much each of the frames `(N, T, D)` takes from each, `(N, H, T, T)`."""
        q, k, _ = self._project(x)
        return shares(q, k)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)


class Cross(nn.Module):
    """Attention of frames to the source, behind a norm and beside a residual."""

    def __init__(self, spec: EncoderDecoderSpec) -> None:
        super().__init__()
        self.heads = spec.heads
        self.norm = nn.LayerNorm(spec.width)
        self.q = nn.Linear(spec.width, spec.width, bias=False)
        self.kv = nn.Linear(spec.width, 2 * spec.width, bias=False)
        self.out = nn.Linear(spec.width, spec.width, bias=False)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Map `(N, T, D)` to `(N, T, D)`; keys and values are the source's."""
        q = self.q(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, H, T, K)
        dropout = self.dropout.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        added: Tensor = x + self.dropout(self.out(y.transpose(1, 2).flatten(2)))
        return added

    def keys_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values `(N, H, S, K)` of an encoded source `(N, S, D)`."""
        kv = self.kv(source).unflatten(-1, (2, self.heads, -1))  # (N, S, 2, H, K)
        k, v = kv.permute(2, 0, 3, 1, 4)
        return k, v

    def write(self, graph: GraphBuilder, x: str, layer: int, source: Source) -> str:
        """Write what every frame does."""
        name, scale = f"crosses.{layer}", (self.q.out_features / self.heads) ** -0.5
        y = norm(graph, x, self.norm, f"{name}.norm")
        y = source.attend(layer, linear(graph, y, self.q, f"{name}.q", scale))
        return graph.op("Add", x, linear(graph, y, self.out, f"{name}.out"))

    def write_keys_values(self, graph: GraphBuilder, source: str, layer: int) -> Sequence[str]:
        """Write what is done once, to an encoded source `(N, S, D)`."""
        heads, size = self.heads, self.q.out_features // self.heads
        kv = linear(graph, source, self.kv, f"crosses.{layer}.kv")  # (N, S, 2 D)
        kv = graph.op("Reshape", kv, graph.constant([0, 0, 2 * heads, size]))
        kv = graph.op("Transpose", kv, perm=[0, 2, 1, 3])  # (N, 2 H, S, K)
        return graph.split(kv, [heads, heads], axis=1)


class EncoderDecoder(Body):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from an empty window, no source read."""

    at_once = ("encoder.*", "crosses.*.kv")

    def __init__(self, spec: EncoderDecoderSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spec, self.reading = spec, replace(spec, window=spec.source)
        self.embed = nn.Linear(inputs, spec.width)
        self.places = nn.Parameter(torch.randn(spec.source, spec.width) * 0.02)
        self.encoder = nn.ModuleList(
            [Block(self.reading, Bidirectional) for _ in range(spec.encoder_layers)]
        )
        self.source_norm = nn.LayerNorm(spec.width)
        self.crosses = nn.ModuleList([Cross(spec) for _ in range(spec.layers)])
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        x = self.embed(frames)  # (N, T, D)
        memory = self._memory(x)
        for layer in range(self.spec.layers):
            x = self._block(layer)(self._asked(layer, x, memory))
        outputs: Tensor = self.head(self.norm(x))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        x, size = self.embed(frames), self.spec.source
        memory = self._memory(x)
        states = {"cached_source": F.pad(x[:, :size], (0, 0, 0, max(0, size - x.shape[1])))}
        for layer in range(self.spec.layers):
            empty = x.new_zeros(len(x), self.spec.heads, size, x.shape[2] // self.spec.heads)
            for what, cache in zip(
                ("key", "value"), memory[layer] if memory else (empty, empty), strict=True
            ):
                states[f"cached_cross.{layer}.{what}"] = cache
            x = self._asked(layer, x, memory)
            states |= self._block(layer).final_state(x, layer)
            x = self._block(layer)(x)
        return states | final_position(x, self.spec.window)

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: embedding, source, blocks, head; rings and source hold the states."""
        graph = ends.graph
        x = linear(graph, ends.frames(), self.embed, "embed")  # (N, T, D)
        window = write_window(graph, self.spec, ends.size, form, newest=newest)
        source = Source(window, self.spec, x, partial(self._write_encoder, ends.size))
        for layer in range(self.spec.layers):
            x = self._cross(layer).write(graph, x, layer, source)
            x = self._block(layer).write(graph, x, layer, window)
        y = ends.head(norm(graph, x, self.norm, "norm"), self.head.weight, None)
        return Built(y, tuple(window.states), window.target)

    def _memory(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return keys and values of the source in embedded frames; none if it is not complete."""
        if x.shape[1] < self.spec.source:
            return []
        source = x[:, : self.spec.source] + self.places
        for block in cast(Iterable[Block], self.encoder):
            source = block(source)
        source = self.source_norm(source)
        return [self._cross(layer).keys_values(source) for layer in range(self.spec.layers)]

    def _asked(self, layer: int, x: Tensor, memory: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Add to frames what the source says to them; nothing to those before its end."""
        if not memory:
            return x
        before, after = x[:, : self.spec.source - 1], x[:, self.spec.source - 1 :]
        return torch.cat([before, self._cross(layer)(after, *memory[layer])], dim=1)

    def _write_encoder(self, size: Size, graph: GraphBuilder, source: str) -> Sequence[str]:
        """Write the encoder; return keys and values of each block, one after the other."""
        x = graph.op("Add", source, graph.constant(self.places.detach().numpy(), "places"))
        whole = Whole(graph, self.reading, size)
        for layer, block in enumerate(cast(Iterable[Block], self.encoder)):
            x = block.write(graph, x, layer, whole, "encoder")
        x = norm(graph, x, self.source_norm, "source_norm")
        layers = range(self.spec.layers)
        return [y for i in layers for y in self._cross(i).write_keys_values(graph, x, i)]

    def _cross(self, layer: int) -> Cross:
        return cast(Cross, self.crosses[layer])

    def _block(self, layer: int) -> Block:
        return cast(Block, self.blocks[layer])


FAMILY = Family(EncoderDecoderSpec, EncoderDecoder, settings={"steps": 2000})
