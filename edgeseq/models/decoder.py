"""A compact GPT: a causal Transformer that is fed tokens and says which comes next.

What embeds the tokens is the output head's own matrix (Press & Wolf 2017, arXiv:1608.05859), times
the root of the width (Vaswani et al. 2017, arXiv:1706.03762, section 3.4): the model holds it once,
and so does the file. Where the outputs are something else than tokens, there are two. Blocks,
positions and the ring of keys and values are the Transformer's.

Sizes: N streams, T frames, V tokens, D width, C outputs.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.export.layers import norm
from edgeseq.models.attention import write_window
from edgeseq.models.family import Family
from edgeseq.models.positions import position_parameters
from edgeseq.models.sizes import block_parameters
from edgeseq.models.stack import Stack
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
        block = block_parameters(self.width, self.feed_forward)
        table = 0 if inputs == outputs else inputs
        ends = (table + outputs + 2) * self.width
        return ends + self.layers * block + position_parameters(self)


class Decoder(Stack):
    """Tokens `(N, T)` → outputs `(N, T, C)`, from an empty window."""

    tokens: nn.Embedding | None

    def __init__(self, spec: DecoderSpec, inputs: int, outputs: int) -> None:
        table = None if inputs == outputs else nn.Embedding(inputs, spec.width)
        super().__init__(spec, outputs, tokens=table)
        self.scale = math.sqrt(spec.width) if table is None else 1.0

    def kept(self, frames: Tensor) -> Tensor:
        """Keep tokens embedded."""
        table = self.head.weight if self.tokens is None else self.tokens.weight
        return F.embedding(frames, table) * self.scale

    def embedded(self, kept: Tensor) -> Tensor:
        """Return them as they are."""
        return kept

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: the table's rows, blocks, head; the window holds the states.

        A head that is the table holds the scale, and the norm before it the inverse: no node for
        either. Loading turns it once.
        """
        graph = ends.graph
        if self.tokens is None:
            table = graph.op("Transpose", "head", perm=[1, 0])
        else:
            table = graph.constant(self.tokens.weight.detach().numpy(), "tokens")
        window = write_window(graph, self.spec, ends.size, form, newest=newest)
        x = window.enter(ends.looked_up(table), self.spec.width, self.reach)
        x = self.write_blocks(graph, x, window)
        y = norm(graph, x, self.norm, "norm", 1 / self.scale)
        y = ends.head(y, self.head.weight * self.scale, None)
        return Built(y, tuple(window.states), window.target, self.positions.period)


FAMILY = Family(DecoderSpec, Decoder)
