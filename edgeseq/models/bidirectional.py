"""Blocks whose every token sees all others, as module and as graph, and the sizes around them.

Sizes: B windows, N streams, T frames, S tokens of a window, D width, H heads, K = D / H,
M feed-forward units.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.export.layers import linear, norm, query_scale
from edgeseq.graph.build import GraphBuilder
from edgeseq.models.blocks import Attending, Parts, shares
from edgeseq.models.family import Spec
from edgeseq.models.sizes import block_parameters, check_sizes, too_few
from edgeseq.models.sliding import Sliding

_STEP, _HEADS = 8, 4
"""Widths are multiples of this, which is also the least a head has; heads at most."""


@dataclass(frozen=True)
class BidirectionalSpec(Spec):
    """Sizes of blocks over the tokens of a window; a family adds its tokens."""

    noun: ClassVar[str]
    """As in a sentence, with its article."""

    width: int
    feed_forward: int
    layers: int = 2
    heads: int = 4
    window: int = 64
    """Frames that an output follows from, its own included."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        check_sizes(self.family, asdict(self), tuple(self._mistakes()), zero=("lookahead",))

    def _mistakes(self) -> list[str]:
        """Return what is wrong with sizes that are all large enough for themselves."""
        found = []
        if self.heads > 0 and self.width % self.heads:
            found.append(f"width: {self.width} is not a multiple of heads = {self.heads}")
        if self.window < 2:
            found.append(f"window: {self.window} is not at least 2")
        return found

    @abstractmethod
    def tokens(self, inputs: int) -> tuple[int, int]:
        """Return how many tokens a window of `inputs` values a frame has, and values a token."""

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        block = block_parameters(self.width, self.feed_forward)
        tokens, values = self.tokens(inputs)
        return (values + 1 + tokens + 2 + outputs) * self.width + self.layers * block

    @classmethod
    def suited(cls, inputs: int, window: int) -> dict[str, Any]:
        """Return the sizes of a family's own that suit a window of `inputs` values a frame."""
        del inputs, window
        return {}

    @classmethod
    def sized(cls, parameters: int, inputs: int, outputs: int, context: int = 64) -> Self:
        """Return the model of two blocks, or else of one, closest below `parameters`, M near 4 D.

        Its window is `context`.
        """
        window = max(2, context)
        own = cls.suited(inputs, window)

        def sizes(width: int, feed_forward: int, layers: int) -> dict[str, Any]:
            heads = min(_HEADS, max(1, width // _STEP))
            named = {"width": width, "feed_forward": feed_forward, "layers": layers}
            return {**named, "heads": heads, "window": window, **own}

        def least(width: int, layers: int) -> int:
            return cls(**sizes(width, 1, layers)).parameters(inputs, outputs)

        for layers in (2, 1):
            width = _STEP * max(1, round(math.sqrt(parameters / (layers * 12)) / _STEP))
            while width > _STEP and least(width, layers) > parameters:
                width -= _STEP  # tokens of many values leave less for the blocks
            if least(width, layers) <= parameters:
                more = (parameters - least(width, layers)) // (2 * width * layers)
                return cls(**sizes(width, 1 + more, layers))
        what = f"{cls.noun} with {inputs} inputs, {outputs} outputs and a window of {window}"
        raise too_few(what, parameters, least(_STEP, 1))


class WholeAttention(Attending):
    """Self-attention of all tokens to all."""

    def __init__(self, spec: BidirectionalSpec) -> None:
        super().__init__(spec, spec.heads)

    def forward(self, x: Tensor, at: slice) -> Tensor:
        """Map `(B, S, D)` to what the tokens `at` have found, `(B, S', D)`."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, S, 3, H, K)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, S, K)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q[:, :, at], k, v, dropout_p=dropout)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def weights(self, x: Tensor) -> Tensor:
        """Return how much each of the tokens `(B, S, D)` takes from each, `(B, H, S, S)`."""
        q, k, _ = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return shares(q, k)


class WholeBlock(Parts[WholeAttention]):
    """A block whose attention sees all tokens."""

    def __init__(self, spec: BidirectionalSpec) -> None:
        super().__init__(spec, WholeAttention(spec))

    def forward(self, x: Tensor, at: slice = slice(None)) -> Tensor:
        """Map `(B, S, D)` to the tokens `at` `(B, S', D)`, which have seen all."""
        return self.rest(x[:, at], self.attention(self.norm1(x), at))

    def write(self, graph: GraphBuilder, x: str, layer: int, at: int | None = None) -> str:
        """Write the block: `(N, T, S, D)` to all tokens, or to the one that is `at`."""
        name = f"blocks.{layer}"
        y = norm(graph, x, self.norm1, f"{name}.norm1")
        y = self._attend(graph, y, f"{name}.attention", at)
        x = x if at is None else _token(graph, x, at)
        return self.write_rest(graph, x, y, name)

    def _attend(self, graph: GraphBuilder, x: str, name: str, at: int | None) -> str:
        """Map `(N, T, S, D)` to what heads have found, `(N, T, S', D)`."""
        qkv, heads = self.attention.qkv, self.attention.heads
        width = qkv.in_features
        y = linear(graph, x, qkv, f"{name}.qkv", query_scale(width, heads))
        y = graph.op("Reshape", y, graph.constant([0, 0, 0, 3 * heads, width // heads]))
        y = graph.op("Transpose", y, perm=[0, 1, 3, 2, 4])  # (N, T, 3 H, S, K)
        q, k, v = graph.split(y, [heads] * 3, axis=2)
        q = q if at is None else _token(graph, q, at, axis=3)
        scores = graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 1, 2, 4, 3]))
        y = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v)  # (N, T, H, S', K)
        y = graph.op("Transpose", y, perm=[0, 1, 3, 2, 4])
        return graph.op("Reshape", y, graph.constant([0, 0, 0, width]))


class Tokens(Sliding):
    """A body of blocks over tokens that know their places, which are learned."""

    def __init__(self, spec: BidirectionalSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs)
        tokens, values = spec.tokens(inputs)
        self.embed = nn.Linear(values, spec.width)
        self.places = nn.Parameter(torch.randn(tokens, spec.width) * 0.02)
        self.blocks = nn.ModuleList([WholeBlock(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)

    def embedded(self, x: Tensor) -> Tensor:
        """Map tokens `(B, S, V)` to `(B, S, D)`."""
        y: Tensor = self.embed(x) + self.places
        return y

    def write_embedded(self, graph: GraphBuilder, x: str) -> str:
        """Map tokens `(N, T, S, V)` to `(N, T, S, D)`: bias and places are one sum."""
        weight, bias, places = (
            part.detach().double().numpy()
            for part in (self.embed.weight, self.embed.bias, self.places)
        )
        y = graph.op("MatMul", x, graph.constant(weight.T, "embed"))
        return graph.op("Add", y, graph.constant((bias + places)[None, None], "places"))

    def _blocks(self) -> Iterable[WholeBlock]:
        return cast(Iterable[WholeBlock], self.blocks)


def _token(graph: GraphBuilder, x: str, at: int, axis: int = 2) -> str:
    """Cut one token out of `x`, whose axis stays."""
    return graph.op("Slice", x, *map(graph.constant, ([at], [at + 1], [axis])))
