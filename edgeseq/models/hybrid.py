"""A compact hybrid: Transformer blocks, each of which begins with an LSTM layer.

As in the R-Transformer (Wang et al. 2019, arXiv:1907.05572): the recurrent layer takes in what just
happened, attention reaches back for what it needs, the feed-forward network decides. There the
layer starts anew in a short window before every frame, so that all frames train at once; here it
runs on from the first frame, which costs a stream nothing and remembers what is older than the
window. It is an LSTM because ONNX Runtime has an int8 operator for it and none for a GRU. What it
passes on tells the order of frames, so attention needs no positions: fewer nodes, any width.

Sizes: N streams, T frames, F values per frame, D width and hidden units, H heads, K = D / H, M
feed-forward units, W window, C outputs.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Self, cast

from torch import Tensor, nn

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.export.layers import linear, norm
from edgeseq.export.recurrent import Recurrent
from edgeseq.families import PositionKind
from edgeseq.graph.build import GraphBuilder
from edgeseq.models.attention import Block, final_position, write_window
from edgeseq.models.family import Body, Family, Spec
from edgeseq.models.positions import position_parameters, positions_of, width_mistakes
from edgeseq.models.sizes import block_parameters, check_sizes, too_few

_NARROW = 16
"""Below this width there are half as many heads, so that each has at least two values."""


@dataclass(frozen=True)
class HybridSpec(Spec):
    """Sizes of a hybrid."""

    family = "hybrid"

    width: int
    """Values a frame between the layers, and hidden units of each recurrent layer."""
    feed_forward: int
    layers: int = 2
    """Blocks, each with a recurrent layer before it."""
    heads: int = 4
    window: int = 64
    """Frames that attention can see, the frame itself included."""
    dropout: float = 0.1
    positions: PositionKind = "none"
    """How attention knows the order of frames, besides what the recurrent layers tell it."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        check_sizes(self.family, asdict(self), width_mistakes(self))

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters: LSTM gates with two biases, attention, network, norms."""
        recurrent = 8 * self.width**2 + 8 * self.width
        layer = recurrent + 2 * self.width + block_parameters(self.width, self.feed_forward)
        ends = (inputs + 1 + outputs + 2) * self.width + position_parameters(self)
        return ends + self.layers * layer

    @classmethod
    def sized(
        cls,
        parameters: int,
        inputs: int,
        outputs: int,
        context: int = 64,
        positions: PositionKind = "none",
    ) -> Self:
        """Return the widest two-block hybrid with M >= D, and M as large as `parameters` allow."""
        made = partial(cls, window=context, positions=positions)
        spec = made(cls.heads, 1, heads=cls.heads // 2)
        least = spec.parameters(inputs, outputs)
        if least > parameters:
            what = f"a hybrid with {inputs} inputs and {outputs} outputs"
            raise too_few(what, parameters, least)
        for width in chain(range(cls.heads, _NARROW, cls.heads), count(_NARROW, 2 * cls.heads)):
            heads = cls.heads if width >= _NARROW else cls.heads // 2
            wider = made(width, width, heads=heads)
            if wider.parameters(inputs, outputs) > parameters:
                break
            spec = wider
        rest = parameters - spec.parameters(inputs, outputs)
        more = rest // (2 * spec.width * spec.layers)
        return replace(spec, feed_forward=spec.feed_forward + more)


class Recurrence(nn.Module):
    """An LSTM layer behind a norm and beside a residual, as the parts of a block are."""

    def __init__(self, spec: HybridSpec) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(spec.width)
        self.lstm = nn.LSTM(spec.width, spec.width, batch_first=True)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, T, D)` to `(N, T, D)`."""
        hidden, _ = self.lstm(self.norm(x))
        y: Tensor = x + self.dropout(hidden)
        return y

    def final_state(self, x: Tensor, layer: int) -> dict[str, Tensor]:
        """Return the state after all of `x` `(N, T, D)`, by name."""
        _, (hidden, cell) = self.lstm(self.norm(x))  # (1, N, D) each
        return {f"h{layer}": hidden, f"c{layer}": cell}

    def write(self, graph: GraphBuilder, x: str, layer: int, layers: Recurrent) -> str:
        """Write the layer into a graph, frames `(T, N, D)` as `layers` take them."""
        y = norm(graph, x, self.norm, f"recurrences.{layer}.norm")
        return graph.op("Add", x, layers.write(y, self.lstm))


class Hybrid(Body):
    """Normalised frames `(N, T, F)` → outputs `(N, T, C)`, from zeros and an empty window."""

    def __init__(self, spec: HybridSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.embed = nn.Linear(inputs, spec.width)
        self.positions = positions_of(spec)
        self.recurrences = nn.ModuleList([Recurrence(spec) for _ in range(spec.layers)])
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        x = self.positions(self.embed(frames))  # (N, T, D)
        for recurrence, block in self._layers():
            x = block(recurrence(x))
        outputs: Tensor = self.head(self.norm(x))  # (N, T, C)
        return outputs

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        x = self.positions(self.embed(frames))
        states: dict[str, Tensor] = {}
        for layer, (recurrence, block) in enumerate(self._layers()):
            states |= recurrence.final_state(x, layer)
            x = recurrence(x)
            states |= block.final_state(x, layer)
            x = block(x)
        return states | final_position(x, self.spec.window)

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: time first, as the recurrent operator wants it, from end to end."""
        graph, size = ends.graph, ends.size
        x = graph.op("Transpose", ends.frames(), perm=[1, 0, 2])
        x = linear(graph, x, self.embed, "embed")  # (T, N, D)
        layers = Recurrent(graph, size, stateful=form == "step")
        window = write_window(graph, self.spec, size, form, newest=newest)
        window.time_first = True
        x = self.positions.write(graph, x, window)
        for layer, (recurrence, block) in enumerate(self._layers()):
            x = recurrence.write(graph, x, layer, layers)
            x = block.write(graph, x, layer, window)
        y = ends.head(norm(graph, x, self.norm, "norm"), self.head.weight, None)
        y = graph.op("Transpose", y, perm=[1, 0, 2])
        states = (*layers.states, *window.states)
        return Built(y, states, window.target, self.positions.period)

    def _layers(self) -> Iterator[tuple[Recurrence, Block]]:
        pairs = zip(self.recurrences, self.blocks, strict=True)
        return cast(Iterator[tuple[Recurrence, Block]], pairs)


FAMILY = Family(HybridSpec, Hybrid)
