"""A compact causal Transformer: every frame attends to the last `window` frames, itself included.

Pre-norm blocks. Linear maps carry no bias (the norms before them do), which keeps the exported
graph to one node per map. Positions are rotary (Su et al. 2021, arXiv:2104.09864) with whole
numbers of turns per `2 * window` frames: the angle of frame `t` is that of frame `t + 2 * window`,
so a stream may run for ever on a counter that wraps and never loses precision.

Sizes: N streams, T frames, F values per frame, D width, H heads, K = D / H, M feed-forward
units, W window, C outputs.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.errors import UsageError
from edgeseq.models.sizes import check_sizes


@dataclass(frozen=True)
class TransformerSpec:
    """Sizes of a causal windowed Transformer."""

    width: int
    feed_forward: int
    layers: int = 2
    heads: int = 4
    window: int = 64
    """Frames that a frame can see, itself included."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        pairs = 2 * self.heads  # rotary positions turn pairs of values
        mistakes = (f"width: {self.width} is not a multiple of 2 x heads = {pairs}",)
        check_sizes("transformer", asdict(self), mistakes if pairs and self.width % pairs else ())

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        block = 4 * self.width**2 + 2 * self.width * self.feed_forward + 4 * self.width
        return (inputs + 1 + outputs + 2) * self.width + self.layers * block

    @classmethod
    def sized(
        cls, parameters: int, inputs: int, outputs: int, window: int = 64
    ) -> "TransformerSpec":
        """Return the two-block Transformer closest below `parameters`, M near 4 D."""
        step = 2 * cls.heads
        width = max(step, step * round(math.sqrt(parameters / (cls.layers * 12)) / step))

        def least(width: int) -> int:
            return cls(width, 1, window=window).parameters(inputs, outputs)

        while width > step and least(width) > parameters:  # wide frames leave less for the blocks
            width -= step
        if least(width) > parameters:
            raise UsageError(
                f"a Transformer with {inputs} inputs and {outputs} outputs cannot have only "
                f"{parameters} parameters; try --params {least(width)}"
            )
        more = (parameters - least(width)) // (2 * width * cls.layers)
        return cls(width, 1 + more, window=window)


def rotary_angles(window: int, head_size: int) -> NDArray[np.float64]:
    """Return the rotary angles `(2 W, K / 2)` in radians; row `t` is frame `t` modulo `2 W`.

    Turns per period run geometrically from 1 to about one radian a frame, as whole numbers.
    """
    period = 2 * window
    turns = np.rint(np.geomspace(1, max(1.0, period / (2 * math.pi)), head_size // 2))
    return 2 * math.pi * np.outer(np.arange(period), turns) / period


class Attention(nn.Module):
    """Causal self-attention over the last W frames."""

    cos: Tensor
    sin: Tensor

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.heads, self.window = spec.heads, spec.window
        self.dropout = spec.dropout
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.out = nn.Linear(spec.width, spec.width, bias=False)
        angles = torch.from_numpy(rotary_angles(spec.window, spec.width // spec.heads))
        self.register_buffer("cos", angles.cos().float(), persistent=False)  # (2 W, K / 2)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, T, D)` to `(N, T, D)`."""
        y = self._attend(*self._project(x))  # (N, H, T, K)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rotated keys and the values `(N, H, T, K)` of all frames."""
        _, k, v = self._project(x)
        return k, v

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries, rotated keys and values, `(N, H, T, K)` each."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (N, T, 3, H, K)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return self._rotate(q), self._rotate(k), v

    def _rotate(self, x: Tensor) -> Tensor:
        """Turn each pair `(x[j], x[j + K / 2])` by its frame's angle."""
        position = torch.arange(x.shape[2], device=x.device) % len(self.cos)
        cos, sin = self.cos[position], self.sin[position]  # (T, K / 2)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend in blocks of W queries, each to its own block and the one before: O(T W)."""
        batch, heads, frames, size = q.shape
        dropout = self.dropout if self.training else 0.0
        if frames <= self.window:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
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
        seen = (key <= query) & (key > query - window)  # (W, 2 W)
        first = seen & (key >= window)  # nothing lies before the first block
        mask = torch.stack([first] + [seen] * (blocks - 1))  # (blocks, W, 2 W)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        whole: Tensor = y.flatten(2, 3)[:, :, :frames]
        return whole


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a norm and beside a residual."""

    def __init__(self, spec: TransformerSpec) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.width)
        self.attention = Attention(spec)
        self.norm2 = nn.LayerNorm(spec.width)
        self.up = nn.Linear(spec.width, spec.feed_forward, bias=False)
        self.down = nn.Linear(spec.feed_forward, spec.width, bias=False)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, T, D)` to `(N, T, D)`."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        y: Tensor = x + self.dropout(self.down(F.relu(self.up(self.norm2(x)))))  # (N, T, M) inside
        return y


class Transformer(nn.Module):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from an empty window."""

    def __init__(self, spec: TransformerSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.embed = nn.Linear(inputs, spec.width)
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)

    @property
    def memory(self) -> int:
        """Frames that an output depends on, the newest among them."""
        return self.spec.layers * (self.spec.window - 1) + 1

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        x = self.embed(frames)  # (N, T, D)
        for block in self.blocks:
            x = block(x)
        outputs: Tensor = self.head(self.norm(x))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        x = self.embed(frames)
        length, window = frames.shape[1], self.spec.window
        last = torch.arange(max(0, length - window), length)
        states = {}
        for layer, block in enumerate(cast(Iterable[Block], self.blocks)):
            keys, values = block.attention.keys_values(block.norm1(x))
            for what, all_frames in (("key", keys), ("value", values)):
                ring = torch.zeros_like(all_frames[:, :, :1]).repeat(1, 1, window, 1)
                ring[:, :, last % window] = all_frames[:, :, last]
                states[f"past_key_values.{layer}.{what}"] = ring
            x = block(x)
        position = length if length < 3 * window else window + (length - window) % (2 * window)
        return states | {"cached_position": torch.full((len(frames),), position)}
