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

from edgeseq.export.ends import Ends
from edgeseq.export.layers import norm
from edgeseq.models.family import Family
from edgeseq.models.positions import position_parameters
from edgeseq.models.transformer import Transformer, TransformerSpec


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
        ends = (table + outputs + 2) * self.width
        return ends + self.layers * block + position_parameters(self)


class Decoder(Transformer):
    """Tokens `(N, T)` → outputs `(N, T, C)`, from an empty window."""

    def __init__(self, spec: DecoderSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.tokens = None if inputs == outputs else nn.Embedding(inputs, spec.width)
        self.scale = math.sqrt(spec.width) if self.tokens is None else 1.0

    def embedding(self, inputs: int) -> nn.Module:
        """Map nothing: what enters has the width already."""
        del inputs
        return nn.Identity()

    def entering(self, frames: Tensor) -> Tensor:
        """Look tokens `(N, T)` up: `(N, T, D)`."""
        table = self.head.weight if self.tokens is None else self.tokens.weight
        return F.embedding(frames, table) * self.scale

    def write_entering(self, ends: Ends) -> tuple[str, int]:
        """Write the look-up; loading turns a head that is the table, once."""
        graph = ends.graph
        if self.tokens is None:
            table = graph.op("Transpose", "head", perm=[1, 0])
        else:
            table = graph.constant(self.tokens.weight.detach().numpy(), "tokens")
        return ends.looked_up(table), self.spec.width

    def write_head(self, ends: Ends, x: str) -> str:
        """Write norm and head; a head that is the table holds the scale, its norm the inverse."""
        x = norm(ends.graph, x, self.norm, "norm", 1 / self.scale)
        return ends.head(x, self.head.weight * self.scale, None)


FAMILY = Family(DecoderSpec, Decoder)
