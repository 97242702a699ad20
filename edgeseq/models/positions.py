"""How attention knows the order of frames: what is added to frames, and what each kind costs.

Rotary turns and relative distances belong to each block's attention. Absolute positions are added
here, before the first block. In a stream that never ends they can only repeat, with a period of 2 W
frames; no frame sees the same position twice. Training draws the phase at which each crop starts,
so that every phase and the seam between two periods are learned; in evaluation a stream starts at
position 0.

Sizes: N streams, T frames, D width, H heads, W window.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from edgeseq.export.attention import AttentionSizes, Window
from edgeseq.export.positions import sinusoids
from edgeseq.graph.build import GraphBuilder


class PositionSizes(AttentionSizes, Protocol):
    """What the number of parameters depends on."""

    @property
    def layers(self) -> int:
        """Blocks."""


class Positions(nn.Module):
    """Adds nothing: order is not known, or known to attention itself."""

    period: int | None = None
    """Frames after which what is added repeats."""

    def forward(self, x: Tensor) -> Tensor:
        """Map frames `(N, T, D)` to frames with positions."""
        return x

    def write(self, graph: GraphBuilder, x: str, window: Window) -> str:
        """Add the positions to `x` `(N, T, D)` in a graph, or time first as `window` has frames."""
        return x


class Absolute(Positions):
    """Adds a vector for each frame of a period, of sinusoids or learned."""

    table: Tensor

    def __init__(self, spec: AttentionSizes) -> None:
        super().__init__()
        self.period = 2 * spec.window
        table = torch.from_numpy(sinusoids(spec.window, spec.width)).float()  # (2 W, D)
        if spec.positions == "learned":
            self.table = nn.Parameter(0.02 * torch.randn_like(table))
        else:
            self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Add the vectors from phase 0, or in training each stream's from a phase of its own."""
        count, device = len(self.table), x.device
        start = torch.zeros(len(x), 1, dtype=torch.long, device=device)
        if self.training:
            start = torch.randint(count, (len(x), 1), device=device)
        at = (start + torch.arange(x.shape[1], device=device)) % count  # (N, T)
        return x + self.table[at]

    def write(self, graph: GraphBuilder, x: str, window: Window) -> str:
        """Look the vectors up and add them."""
        table = graph.constant(self.table.detach().double().numpy(), "positions")
        turn = window.turn
        if window.time_first:
            turn = graph.op("Transpose", turn, perm=[1, 0])
        return graph.op("Add", x, graph.op("Gather", table, turn, axis=0))


def positions_of(spec: AttentionSizes) -> Positions:
    """Return what is added to the frames of a model of `spec`."""
    return Absolute(spec) if spec.positions in ("sinusoidal", "learned") else Positions()


def position_parameters(spec: PositionSizes) -> int:
    """Count the trainable parameters of all positions of a model."""
    learned = {
        "learned": 2 * spec.window * spec.width,
        "relative": spec.layers * spec.heads * spec.window,
    }
    return learned.get(spec.positions, 0)


def width_mistakes(spec: AttentionSizes) -> tuple[str, ...]:
    """Say what is wrong with the width: heads share it, and rotary positions turn pairs of it."""
    share, what = spec.heads, "heads"
    if spec.positions == "rotary":
        share, what = 2 * spec.heads, "2 x heads"
    if share < 1 or spec.width % share == 0:
        return ()
    return (f"width: {spec.width} is not a multiple of {what} = {share}",)
