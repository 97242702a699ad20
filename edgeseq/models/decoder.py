"""A compact GPT: a causal Transformer that is fed tokens and says which comes next.

What embeds the tokens is the output head's own matrix (Press & Wolf 2017, arXiv:1608.05859), times
the root of the width (Vaswani et al. 2017, arXiv:1706.03762, section 3.4): the model holds it once,
and so does the file. Where the outputs are something else than tokens, there are two. Blocks,
positions and the ring of keys and values are the Transformer's.

Sizes: N streams, T frames, V tokens, D width, C outputs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.export.layers import norm
from edgeseq.models.attention import Block, final_position, write_window
from edgeseq.models.family import Body, Family
from edgeseq.models.transformer import TransformerSpec


@dataclass(frozen=True)
class DecoderSpec(TransformerSpec):
    """Sizes of a decoder; its inputs are the number of tokens."""

    family = "decoder"
    takes_tokens = True

    layers: int = 3
    window: int = 128
    dropout: float = 0.0

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        block = 4 * self.width**2 + 2 * self.width * self.feed_forward + 4 * self.width
        table = 0 if inputs == outputs else inputs
        return (table + outputs + 2) * self.width + self.layers * block


class Decoder(Body):
    """Tokens `(N, T)` → outputs `(N, T, C)`, from an empty window."""

    def __init__(self, spec: DecoderSpec, inputs: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.tokens = None if inputs == outputs else nn.Embedding(inputs, spec.width)
        self.blocks = nn.ModuleList([Block(spec) for _ in range(spec.layers)])
        self.norm = nn.LayerNorm(spec.width)
        self.head = nn.Linear(spec.width, outputs, bias=False)
        self.scale = math.sqrt(spec.width) if self.tokens is None else 1.0

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""
        x = self._embedded(frames)  # (N, T, D)
        for block in self._blocks():
            x = block(x)
        outputs: Tensor = self.head(self.norm(x))  # (N, T, C)
        return outputs

    def _embedded(self, tokens: Tensor) -> Tensor:
        table = self.head.weight if self.tokens is None else self.tokens.weight
        return F.embedding(tokens, table) * self.scale

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        x = self._embedded(frames)
        states: dict[str, Tensor] = {}
        for layer, block in enumerate(self._blocks()):
            states |= block.final_state(x, layer)
            x = block(x)
        return states | final_position(x, self.spec.window)

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: the table's rows, blocks, head; the window's ring holds the states.

        A head that is the table holds the scale, and the norm before it the inverse: no node for
        either. Loading turns it once.
        """
        graph = ends.graph
        if self.tokens is None:
            table = graph.op("Transpose", "head", perm=[1, 0])
        else:
            table = graph.constant(self.tokens.weight.detach().numpy(), "tokens")
        x = ends.looked_up(table)
        window = write_window(graph, self.spec, ends.size, form, newest=newest)
        for layer, block in enumerate(self._blocks()):
            x = block.write(graph, x, layer, window)
        y = norm(graph, x, self.norm, "norm", 1 / self.scale)
        y = ends.head(y, self.head.weight * self.scale, None)
        return Built(y, tuple(window.states), window.target)

    def _blocks(self) -> Iterable[Block]:
        return cast(Iterable[Block], self.blocks)


FAMILY = Family(DecoderSpec, Decoder)
