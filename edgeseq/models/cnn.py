"""A compact convolutional network over the last `window` frames: half as long after every layer.

A layer multiplies patches of `kernel` frames by one matrix, which is a convolution. It is written
so in the graph, too: unlike a `Conv`, a product with weights runs in int8 in every recipe. Every
second frame is a patch's last, counted back from the newest; a norm and a ReLU follow. What is left
of the window is read place by place, so that it matters when something was.

Sizes: B windows, N streams, T frames, I values a frame, W window, L length, K kernel, H channels,
C outputs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.export.ends import Ends
from edgeseq.export.layers import linear, norm
from edgeseq.graph.build import GraphBuilder
from edgeseq.models.family import Family, Spec
from edgeseq.models.sizes import check_sizes, largest, too_few
from edgeseq.models.sliding import Sliding

STRIDE = 2
"""Frames from patch to patch."""


@dataclass(frozen=True)
class CNNSpec(Spec):
    """Sizes of a convolutional network."""

    family = "cnn"

    channels: int
    layers: int = 3
    kernel: int = 5
    """Frames of a patch, or all where fewer are left."""
    window: int = 64
    """Frames that an output follows from, its own included."""
    dropout: float = 0.1
    """Before the head, while training."""

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        mistakes = (f"window: {self.window} is not at least 2",) if self.window < 2 else ()
        check_sizes(self.family, asdict(self), mistakes)

    def patches(self) -> Iterator[list[range]]:
        """Yield of each layer the places that each of its patches covers."""
        length = self.window
        for _ in range(self.layers):
            kernel = min(self.kernel, length)
            firsts = range((length - kernel) % STRIDE, length - kernel + 1, STRIDE)
            yield [range(first, first + kernel) for first in firsts]
            length = len(firsts)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Count trainable parameters."""
        total, values, length = 0, inputs, self.window
        for patches in self.patches():
            total += (len(patches[0]) * values + 2) * self.channels
            values, length = self.channels, len(patches)
        return total + (length * values + 1) * outputs

    @classmethod
    def sized(cls, parameters: int, inputs: int, outputs: int, context: int = 64) -> Self:
        """Return the three-layer network with the most channels; its window is `context`."""
        of = partial(cls, window=max(2, context))

        def count(channels: int) -> int:
            return of(channels).parameters(inputs, outputs)

        channels = largest(count, parameters)
        if not channels:
            what = f"a CNN with {inputs} inputs and {outputs} outputs"
            raise too_few(what, parameters, count(2))
        return of(channels)


class Convolution(nn.Module):
    """Patches by one matrix, a norm, a ReLU."""

    places: Tensor

    def __init__(self, patches: list[range], values: int, channels: int) -> None:
        super().__init__()
        self.patches = nn.Linear(len(patches[0]) * values, channels, bias=False)
        self.norm = nn.LayerNorm(channels)
        places = torch.tensor([[*patch] for patch in patches])  # (L', K)
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, L, V)` to `(B, L', H)`."""
        patches = x[:, self.places].flatten(2)  # (B, L', K V)
        y: Tensor = F.relu(self.norm(self.patches(patches)))
        return y

    def write(self, graph: GraphBuilder, x: str, name: str) -> str:
        """Map `(N, T, L, V)` to `(N, T, L', H)`."""
        count, size = len(self.places), self.patches.in_features
        places = graph.constant(self.places.numpy(), f"{name}.places")
        x = graph.op("Gather", x, places, axis=2)  # (N, T, L', K, V)
        x = graph.op("Reshape", x, graph.constant([0, 0, count, size]))
        x = norm(
            graph, linear(graph, x, self.patches, f"{name}.patches"), self.norm, f"{name}.norm"
        )
        return graph.op("Relu", x)


class CNN(Sliding):
    """Normalised frames `(N, T, I)` → outputs `(N, T, C)`, each from the last W frames."""

    def __init__(self, spec: CNNSpec, inputs: int, outputs: int) -> None:
        super().__init__(spec, inputs)
        layers, values, length = list[Convolution](), inputs, spec.window
        for patches in spec.patches():
            layers.append(Convolution(patches, values, spec.channels))
            values, length = spec.channels, len(patches)
        self.convolutions = nn.ModuleList(layers)
        self.dropout = nn.Dropout(spec.dropout)
        self.head = nn.Linear(length * values, outputs)

    def window_outputs(self, windows: Tensor) -> Tensor:
        """Map windows `(B, W, I)` to outputs `(B, C)`."""
        x = windows
        for layer in self._layers():
            x = layer(x)  # (B, L, H)
        outputs: Tensor = self.head(self.dropout(x.flatten(1)))
        return outputs

    def write_windows(self, ends: Ends, windows: str) -> str:
        """Write the same of windows `(N, T, W, I)`."""
        graph, x = ends.graph, windows
        for layer, convolution in enumerate(self._layers()):
            x = convolution.write(graph, x, f"convolutions.{layer}")
        flat = graph.constant([0, 0, self.head.in_features], "flat")
        return ends.head(graph.op("Reshape", x, flat), self.head.weight, self.head.bias)

    def _layers(self) -> Iterable[Convolution]:
        return cast(Iterable[Convolution], self.convolutions)


FAMILY = Family(CNNSpec, CNN)
