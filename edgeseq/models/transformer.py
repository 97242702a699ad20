"""A compact causal Transformer: every frame attends to the last `window` frames, itself included.

Pre-norm blocks. Linear maps carry no bias (the norms before them do), which keeps the exported
graph to one node per map. Positions, of whichever kind, are whole turns of `2 * window` frames, or
distances within the window: what holds of frame `t` holds of frame `t + 2 * window`, so a stream
may run for ever on a counter that wraps and never loses precision.

Sizes: N streams, T frames, F values per frame, D width, H heads, K = D / H, M feed-forward
units, W window, C outputs.
"""

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Self

from torch import Tensor, nn

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.export.layers import linear, norm
from edgeseq.families import PositionKind
from edgeseq.models.attention import write_window
from edgeseq.models.family import Family, Spec
from edgeseq.models.positions import position_parameters, width_mistakes
from edgeseq.models.sizes import block_parameters, check_sizes, too_few
from edgeseq.models.stack import Stack


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

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        block = block_parameters(self.width, self.feed_forward)
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
            what = f"a Transformer with {inputs} inputs and {outputs} outputs"
            raise too_few(what, parameters, least(width))
        more = (parameters - least(width)) // (2 * width * cls.layers)
        return made(width, 1 + more)


class Transformer(Stack):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from an empty window."""

    embed: nn.Linear

    def __init__(self, spec: TransformerSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, outputs, embed=nn.Linear(inputs, spec.width))

    def kept(self, frames: Tensor) -> Tensor:
        """Keep frames as they are."""
        return frames

    def embedded(self, kept: Tensor) -> Tensor:
        """Map `(N, T, F)` to `(N, T, D)`."""
        x: Tensor = self.embed(kept)
        return x

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: embedding, blocks, head; the window holds the states."""
        graph = ends.graph
        window = write_window(graph, self.spec, ends.size, form, newest=newest)
        x = window.enter(ends.frames(), self.embed.in_features, self.reach)
        x = linear(graph, x, self.embed, "embed")  # (N, S, D)
        x = self.write_blocks(graph, x, window)  # (N, T, D)
        y = ends.head(norm(graph, x, self.norm, "norm"), self.head.weight, None)
        return Built(y, tuple(window.states), window.target, self.positions.period)


FAMILY = Family(TransformerSpec, Transformer, settings={"steps": 2000})
"""Attention learns for longer: with 2,000 steps instead of 1,200 people it has never seen gain two
points (six people training, two judging)."""
