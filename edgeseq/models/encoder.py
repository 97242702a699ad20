"""A compact bidirectional Transformer encoder over the last `window` frames.

Within the window every frame sees those before and those after it (Vaswani et al. 2017,
arXiv:1706.03762). The newest frame's place is read, or with `lookahead` one that many frames
earlier: then the output describes that earlier frame, of which it has seen the future, too. It is
late by as much, which the contract says. Places in the window are learned; they never run out.

Sizes: B windows, N streams, T frames, I values a frame, W window, D width, C outputs.
"""

from dataclasses import dataclass

from torch import Tensor

from edgeseq.export.ends import Ends
from edgeseq.export.layers import norm
from edgeseq.models.bidirectional import BidirectionalSpec, Tokens
from edgeseq.models.family import Family


@dataclass(frozen=True)
class EncoderSpec(BidirectionalSpec):
    """Sizes of a bidirectional encoder."""

    family = "encoder"
    noun = "an encoder"

    lookahead: int = 0
    """Frames behind the newest that an output describes: it sees as many of their future."""

    def _mistakes(self) -> list[str]:
        late = f"lookahead: {self.lookahead} is not below window = {self.window}"
        return [*super()._mistakes(), *([late] if self.lookahead >= self.window else [])]

    @property
    def delay(self) -> int:
        """Frames between the one that an output describes and the one that it is given with."""
        return self.lookahead

    def tokens(self, inputs: int) -> tuple[int, int]:
        """Return how many tokens a window has, and values a token: frames are tokens."""
        return self.window, inputs


class Encoder(Tokens):
    """Normalised frames `(N, T, I)` → outputs `(N, T, C)`, each from the last W frames."""

    def __init__(self, spec: EncoderSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.at = spec.window - 1 - spec.lookahead

    def window_outputs(self, windows: Tensor) -> Tensor:
        """Map windows `(B, W, I)` to outputs `(B, C)`."""
        x = self.embedded(windows)  # (B, W, D)
        *before, last = self._blocks()
        for block in before:
            x = block(x)
        x = last(x, slice(self.at, self.at + 1))[:, 0]  # (B, D): nobody asks for the others
        outputs: Tensor = self.head(self.norm(x))
        return outputs

    def write_windows(self, ends: Ends, windows: str) -> str:
        """Write the same of windows `(N, T, W, I)`."""
        graph = ends.graph
        x = self.write_embedded(graph, windows)  # (N, T, W, D)
        *before, last = self._blocks()
        for layer, block in enumerate(before):
            x = block.write(graph, x, layer)
        x = last.write(graph, x, len(before), at=self.at)  # (N, T, 1, D)
        x = graph.op("Squeeze", x, graph.constant([2], "place_axis"))
        return ends.head(norm(graph, x, self.norm, "norm"), self.head.weight, None)


FAMILY = Family(EncoderSpec, Encoder)
