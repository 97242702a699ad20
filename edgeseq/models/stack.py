"""A causal stack of attention blocks: what families that differ in what goes in have in common.

Sizes: N streams, T frames, D width, W window, C outputs.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.export.attention import Window
from edgeseq.graph.build import GraphBuilder
from edgeseq.models.attention import Block, BlockSizes, final_position
from edgeseq.models.family import Body
from edgeseq.models.positions import PositionSizes, positions_of

BlockState = Callable[[Block, Tensor, int], dict[str, Tensor]]
"""A block, what it is fed `(N, T, D)`, its number → its state after that, by name."""


class StackSizes(BlockSizes, PositionSizes, Protocol):
    """Sizes of a stack."""


class Stack(Body):
    """Frames → outputs `(N, T, C)`, from an empty window."""

    forms = ("step", "sequence", "recompute", "growing-cache")

    def __init__(self, spec: StackSizes, outputs: int, **first: nn.Module | None) -> None:
        """Make blocks and a head, after the modules that come `first`."""
        super().__init__()
        self.spec = spec
        for name, module in first.items():
            self.add_module(name, module)
        self.positions = positions_of(spec)
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)

    @abstractmethod
    def kept(self, frames: Tensor) -> Tensor:
        """Return of `frames` what a graph that recomputes keeps, `(N, T, I)`."""

    @abstractmethod
    def embedded(self, kept: Tensor) -> Tensor:
        """Map that to what the blocks are fed but for positions, `(N, T, D)`."""

    @property
    def reach(self) -> int:
        """Frames that an answer depends on, over all blocks."""
        return self.spec.layers * (self.spec.window - 1) + 1

    @property
    def memory(self) -> int | None:
        """All that attention reaches; absolute positions depend on where the stream began."""
        return None if self.positions.period else self.reach

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        x = self._placed(frames)  # (N, T, D)
        for block in self._blocks():
            x = block(x)
        outputs: Tensor = self.head(self.norm(x))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        states = self._states(self._placed(frames), Block.final_state)
        return states | final_position(frames, self.spec.window)

    def state_after(self, frames: Tensor, form: Form) -> dict[str, Tensor]:
        """Return the state of a graph of `form` after the whole sequence, by its names."""
        if form == "recompute":
            before = max(1, self.reach - 1)
            cached = F.pad(self.kept(frames), (0, 0, before, 0))[:, -before:]
            return {"cached_frames": cached, **final_position(frames, self.spec.window, before)}
        if form == "growing-cache":
            return self._states(self._placed(frames), Block.every_state)
        return self.final_state(frames)

    def _states(self, x: Tensor, state: BlockState) -> dict[str, Tensor]:
        states: dict[str, Tensor] = {}
        for layer, block in enumerate(self._blocks()):
            states |= state(block, x, layer)
            x = block(x)
        return states

    def write_blocks(self, graph: GraphBuilder, x: str, window: Window) -> str:
        """Write positions and blocks into a graph; what `window` entered, it leaves."""
        x = self.positions.write(graph, x, window)
        for layer, block in enumerate(self._blocks()):
            x = block.write(graph, x, layer, window)
        return window.leave(x)

    def _placed(self, frames: Tensor) -> Tensor:
        placed: Tensor = self.positions(self.embedded(self.kept(frames)))
        return placed

    def _blocks(self) -> Iterable[Block]:
        return cast(Iterable[Block], self.blocks)
