"""A compact causal Transformer: every frame attends to the last `window` frames, itself included.

Pre-norm blocks. Linear maps carry no bias (the norms before them do), which keeps the exported
graph to one node per map. Positions, of whichever kind, are whole turns of `2 * window` frames, or
distances within the window: what holds of frame `t` holds of frame `t + 2 * window`, so a stream
may run for ever on a counter that wraps and never loses precision.

Sizes: N streams, T frames, F values per frame, D width, H heads, K = D / H, M feed-forward
units, W window, C outputs.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Self, cast

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.errors import UsageError
from edgeseq.export.ends import Built, Ends
from edgeseq.export.layers import linear, norm
from edgeseq.families import PositionKind
from edgeseq.models.attention import Block, final_position, write_window
from edgeseq.models.family import Body, Family, Spec
from edgeseq.models.positions import position_parameters, positions_of, width_mistakes
from edgeseq.models.sizes import check_sizes


@dataclass(frozen=True)
class TransformerSpec(Spec):
    """Sizes of a causal windowed Transformer."""

    family = "transformer"

    width: int
    feed_forward: int
    layers: int = 2
    heads: int = 4
    window: int = 64
    """Frames that a frame can see, itself included."""
    dropout: float = 0.1
    positions: PositionKind = "rotary"
    """How a frame knows how far it is from another."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        check_sizes("transformer", asdict(self), width_mistakes(self))

    @property
    def reach(self) -> int:
        """Frames that an answer depends on, over all blocks."""
        return self.layers * (self.window - 1) + 1

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        block = 4 * self.width**2 + 2 * self.width * self.feed_forward + 4 * self.width
        ends = (inputs + 1 + outputs + 2) * self.width
        return ends + self.layers * block + position_parameters(self)

    @classmethod
    def sized(
        cls,
        parameters: int,
        inputs: int,
        outputs: int,
        context: int = 64,
        positions: PositionKind = "rotary",
    ) -> Self:
        """Return the two-block Transformer closest below `parameters`, M near 4 D."""
        step = 2 * cls.heads
        width = max(step, step * round(math.sqrt(parameters / (cls.layers * 12)) / step))

        made = partial(cls, window=context, positions=positions)

        def least(width: int) -> int:
            return made(width, 1).parameters(inputs, outputs)

        while width > step and least(width) > parameters:  # wide frames leave less for the blocks
            width -= step
        if least(width) > parameters:
            raise UsageError(
                f"a Transformer with {inputs} inputs and {outputs} outputs cannot have only "
                f"{parameters} parameters; try --params {least(width)}"
            )
        more = (parameters - least(width)) // (2 * width * cls.layers)
        return made(width, 1 + more)


class Transformer(Body):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from an empty window."""

    forms = ("step", "sequence", "recompute", "growing-cache")

    def __init__(self, spec: TransformerSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.embed = nn.Linear(inputs, spec.width)
        self.positions = positions_of(spec)
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        x = self.positions(self.embed(frames))  # (N, T, D)
        for block in self._blocks():
            x = block(x)
        outputs: Tensor = self.head(self.norm(x))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        x = self.positions(self.embed(frames))
        states: dict[str, Tensor] = {}
        for layer, block in enumerate(self._blocks()):
            states |= block.final_state(x, layer)
            x = block(x)
        return states | final_position(x, self.spec.window)

    def state_after(self, frames: Tensor, form: Form) -> dict[str, Tensor]:
        """Return the state of a graph of `form` after the whole sequence, by its names."""
        if form == "recompute":
            kept = max(1, self.spec.reach - 1)
            cached = F.pad(frames, (0, 0, kept, 0))[:, -kept:]
            return {"cached_frames": cached, **final_position(frames, self.spec.window, kept)}
        if form != "growing-cache":
            return self.final_state(frames)
        x = self.positions(self.embed(frames))
        states: dict[str, Tensor] = {}
        for layer, block in enumerate(self._blocks()):
            states |= block.every_state(x, layer)
            x = block(x)
        return states

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: embedding, blocks, head; the window holds the states."""
        graph = ends.graph
        window = write_window(graph, self.spec, ends.size, form, newest=newest)
        x = window.enter(ends.frames(), self.embed.in_features, self.spec.reach)
        x = linear(graph, x, self.embed, "embed")  # (N, S, D)
        x = self.positions.write(graph, x, window)
        for layer, block in enumerate(self._blocks()):
            x = block.write(graph, x, layer, window)
        x = norm(graph, window.leave(x), self.norm, "norm")  # (N, T, D)
        y = ends.head(x, self.head.weight, None)
        return Built(y, tuple(window.states), window.target, self.positions.period)

    def _blocks(self) -> Iterable[Block]:
        return cast(Iterable[Block], self.blocks)


FAMILY = Family(TransformerSpec, Transformer, settings={"steps": 2000})
"""Attention learns for longer: with 2,000 steps instead of 1,200 people it has never seen gain two
points (six people training, two judging)."""
