"""Causal attention over the last `window` frames and the block around it, as module and as graph.

Sizes: N streams, T frames, D width, H heads, K = D / H, M feed-forward units, W window.
"""

from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.errors import UsageError
from edgeseq.export.attention import AttentionSizes, Chunk, Distances, Window
from edgeseq.export.ends import Size
from edgeseq.export.growing import Growing
from edgeseq.export.layers import linear, norm, query_scale
from edgeseq.export.positions import rotary_angles
from edgeseq.export.recompute import Recomputed
from edgeseq.export.ring import AnyChunk, OneFrame
from edgeseq.graph.build import GraphBuilder
from edgeseq.models.blocks import Attending, Parts, PartSizes, shares


class BlockSizes(AttentionSizes, PartSizes, Protocol):
    """Sizes of a block."""


class Attention(Attending):
    """Causal self-attention over the last W frames."""

    cos: Tensor
    sin: Tensor

    def __init__(self, spec: BlockSizes) -> None:
        super().__init__(spec, spec.heads)
        self.window, self.positions = spec.window, spec.positions
        if spec.positions == "rotary":
            angles = torch.from_numpy(rotary_angles(spec.window, spec.width // spec.heads))
            self.register_buffer("cos", angles.cos().float(), persistent=False)  # (2 W, K / 2)
            self.register_buffer("sin", angles.sin().float(), persistent=False)
        relative = spec.positions == "relative"
        distances = nn.Parameter(torch.zeros(spec.heads, spec.window)) if relative else None
        self.register_parameter("distances", distances)  # added to the score at each distance

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, T, D)` to `(N, T, D)`."""
        y = self._attend(*self._project(x))  # (N, H, T, K)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def weights(self, x: Tensor) -> Tensor:
        """Return how much each of the frames `(N, T, D)` takes from each, `(N, H, T, T)`."""
        q, k, _ = self._project(x)
        at = torch.arange(x.shape[1], device=x.device)
        seen = self._biased(at[:, None] - at)
        if seen.dtype == torch.bool:
            seen = torch.zeros_like(seen, dtype=x.dtype).masked_fill(~seen, -torch.inf)
        return shares(q, k, seen)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rotated keys and the values `(N, H, T, K)` of all frames."""
        _, k, v = self._project(x)
        return k, v

    def biases(self) -> Distances | None:
        """Return what is added to the scores at each distance, if positions are relative."""
        distances = cast(Tensor | None, self.distances)
        return None if distances is None else distances.detach().double().numpy()

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries, rotated keys and values, `(N, H, T, K)` each."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (N, T, 3, H, K)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return self._rotate(q), self._rotate(k), v

    def _rotate(self, x: Tensor) -> Tensor:
        """Turn each pair `(x[j], x[j + K / 2])` by its frame's angle, if positions are rotary."""
        if self.positions != "rotary":
            return x
        position = torch.arange(x.shape[2], device=x.device) % len(self.cos)
        cos, sin = self.cos[position], self.sin[position]  # (T, K / 2)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend in blocks of W queries, each to its own block and the one before: O(T W)."""
        batch, heads, frames, size = q.shape
        dropout = self.dropout if self.training else 0.0
        if frames <= self.window:
            at = torch.arange(frames, device=q.device)
            mask = self._biased(at[:, None] - at) if self.positions == "relative" else None
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None
            )
        window = self.window
        blocks = -(-frames // window)
        tail = blocks * window - frames
        q = F.pad(q, (0, 0, 0, tail)).view(batch, heads, blocks, window, size)
        k, v = (
            F.pad(z, (0, 0, window, tail)).unfold(2, 2 * window, window).transpose(-1, -2)
            for z in (k, v)
        )  # (N, H, blocks, 2 W, K)
        query = torch.arange(window, device=q.device)[:, None] + window
        key = torch.arange(2 * window, device=q.device)
        age = query - key  # (W, 2 W)
        first = torch.where(key >= window, age, -1)  # nothing lies before the first block
        mask = self._biased(torch.stack([first] + [age] * (blocks - 1)))  # (H?, blocks, W, 2 W)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        whole: Tensor = y.flatten(2, 3)[:, :, :frames]
        return whole

    def _biased(self, age: Tensor) -> Tensor:
        """Return who sees whom by age, `age`'s shape, or what is added to the scores, `(H, …)`."""
        seen = (age >= 0) & (age < self.window)
        distances = cast(Tensor | None, self.distances)
        if distances is None:
            return seen
        biases = distances[:, age.clamp(0, self.window - 1)]
        return biases.masked_fill(~seen, -torch.inf)


class Block(Parts[Attention]):
    """A block whose attention sees the last W frames."""

    def __init__(self, spec: BlockSizes, attention: type[Attention] = Attention) -> None:
        super().__init__(spec, attention(spec))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, T, D)` to `(N, T, D)`."""
        return self.rest(x, self.attention(self.norm1(x)))

    def final_state(self, x: Tensor, layer: int) -> dict[str, Tensor]:
        """Return the rings of keys and values after all of `x` `(N, T, D)`, by name."""
        length, window = x.shape[1], self.attention.window
        last = torch.arange(max(0, length - window), length)
        states = {}
        for what, every in zip(
            ("key", "value"), self.attention.keys_values(self.norm1(x)), strict=True
        ):
            ring = torch.zeros_like(every[:, :, :1]).repeat(1, 1, window, 1)
            ring[:, :, last % window] = every[:, :, last]
            states[f"past_key_values.{layer}.{what}"] = ring
        return states

    def every_state(self, x: Tensor, layer: int) -> dict[str, Tensor]:
        """Return the keys and values of all of `x` `(N, T, D)`, by name."""
        k, v = self.attention.keys_values(self.norm1(x))
        return {f"past_key_values.{layer}.{w}": e for w, e in (("key", k), ("value", v))}

    def write(
        self, graph: GraphBuilder, x: str, layer: int, window: Window, stack: str = "blocks"
    ) -> str:
        """Write the block into a graph; `window` is how it attends, `stack` the list it is in."""
        attention, name = self.attention, f"{stack}.{layer}"
        scale = query_scale(attention.qkv.in_features, attention.heads)
        y = norm(graph, x, self.norm1, f"{name}.norm1")
        qkv = linear(graph, y, attention.qkv, f"{name}.attention.qkv", scale)  # (N, T, 3 D)
        y = window.attend(layer, qkv, attention.biases())  # (N, T, D)
        return self.write_rest(graph, x, y, name)


_WINDOWS: dict[Form, type[Window]] = {
    "step": AnyChunk,
    "sequence": Chunk,
    "recompute": Recomputed,
    "growing-cache": Growing,
}


def final_position(x: Tensor, window: int, least: int | None = None) -> dict[str, Tensor]:
    """Return the position after all of `x` `(N, T, D)`, by name: see `edgeseq.export.counter`."""
    length, least, period = x.shape[1], least or window, 2 * window
    position = length if length < least + period else least + (length - least) % period
    return {"cached_position": torch.full((len(x),), position)}


def write_window(
    graph: GraphBuilder, spec: AttentionSizes, size: Size, form: Form, *, newest: bool
) -> Window:
    """Return how the blocks of a graph of `form` attend; `step`: to any chunk, or to one frame."""
    if form != "step" or not newest:
        return _WINDOWS[form](graph, spec, size)
    if size.frames != 1:
        raise UsageError(f"the step graph takes 1 frame a call, not {size.frames}")
    return OneFrame(graph, spec, size)
