"""A compact Vision Transformer: the last `window` frames as a picture that is cut into patches.

Dosovitskiy et al. 2021, arXiv:2010.11929: patches are embedded, told their places, see each other
in blocks, and their mean decides. The picture is W frames high and I values wide; a patch is
`patch` frames by `patch` values, or by all of them where a frame has fewer. What the picture lacks
to a whole number of patches is zeros, before the oldest frame and behind the last value.

Sizes: B windows, N streams, T frames, I values a frame, W window, P patch, Q = min(P, I), S
patches, D width, C outputs.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from edgeseq.export.ends import Ends
from edgeseq.export.layers import norm
from edgeseq.models.bidirectional import BidirectionalSpec, Tokens
from edgeseq.models.family import Family

MOST_PATCHES = 64
"""That `--params` chooses a patch for: the cost of a window grows with their number."""


@dataclass(frozen=True)
class ViTSpec(BidirectionalSpec):
    """Sizes of a Vision Transformer."""

    family = "vit"
    noun = "a ViT"

    patch: int = 2
    """Side of a patch, in frames and in values."""

    def grid(self, inputs: int) -> tuple[int, int]:
        """Return how many patches lie along a window's frames and along its values."""
        return -(-self.window // self.patch), -(-inputs // min(self.patch, inputs))

    def tokens(self, inputs: int) -> tuple[int, int]:
        """Return how many patches a window has, and values a patch."""
        high, wide = self.grid(inputs)
        return high * wide, self.patch * min(self.patch, inputs)

    @classmethod
    def suited(cls, inputs: int, window: int) -> dict[str, Any]:
        """Return the smallest patch, from 2 up, of which there are not too many."""
        patch = 2
        while cls(1, 1, heads=1, window=window, patch=patch).tokens(inputs)[0] > MOST_PATCHES:
            patch += 1
        return {"patch": patch}


class ViT(Tokens):
    """Normalised frames `(N, T, I)` → outputs `(N, T, C)`, each from the last W frames."""

    def __init__(self, spec: ViTSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs, outputs)
        self.high, self.wide = spec.grid(inputs)
        self.patch = spec.patch, min(spec.patch, inputs)
        self.lacking = (
            self.high * self.patch[0] - spec.window,  # frames
            self.wide * self.patch[1] - inputs,  # values
        )

    def window_outputs(self, windows: Tensor) -> Tensor:
        """Map windows `(B, W, I)` to outputs `(B, C)`."""
        frames, values = self.lacking
        x = F.pad(windows, (0, values, frames, 0))
        (p, q), grid = self.patch, (self.high, self.wide)
        x = x.reshape(-1, grid[0], p, grid[1], q)
        x = self.embedded(x.transpose(2, 3).flatten(3).flatten(1, 2))  # (B, S, D)
        for block in self._blocks():
            x = block(x)
        outputs: Tensor = self.head(self.norm(x).mean(1))
        return outputs

    def write_windows(self, ends: Ends, windows: str) -> str:
        """Write the same of windows `(N, T, W, I)`."""
        graph = ends.graph
        x = self.write_embedded(graph, self._write_patches(ends, windows))  # (N, T, S, D)
        for layer, block in enumerate(self._blocks()):
            x = block.write(graph, x, layer)
        x = graph.op("ReduceMean", norm(graph, x, self.norm, "norm"), axes=[2], keepdims=0)
        return ends.head(x, self.head.weight, None)

    def _write_patches(self, ends: Ends, windows: str) -> str:
        """Map windows `(N, T, W, I)` to patches `(N, T, S, P Q)`."""
        graph, (frames, values), (p, q) = ends.graph, self.lacking, self.patch
        if frames or values:
            edges = [0, 0, frames, 0, 0, 0, 0, values]
            windows = graph.op("Pad", windows, graph.constant(edges, "lacking"))
        grid = graph.constant([0, 0, self.high, p, self.wide, q], "grid")
        x = graph.op("Transpose", graph.op("Reshape", windows, grid), perm=[0, 1, 2, 4, 3, 5])
        return graph.op("Reshape", x, graph.constant([0, 0, self.high * self.wide, p * q]))


FAMILY = Family(ViTSpec, ViT)
