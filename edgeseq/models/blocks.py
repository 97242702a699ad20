"""What every block is around its attention: norms, residuals, a feed-forward network.

Sizes: D width, M feed-forward units; the axes before them are any.
"""

from typing import Generic, Protocol, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.export.layers import linear, norm
from edgeseq.graph.build import GraphBuilder


class PartSizes(Protocol):
    """Sizes of those parts."""

    @property
    def width(self) -> int:
        """Values a frame or token (`D`)."""

    @property
    def feed_forward(self) -> int:
        """Units of its feed-forward network."""

    @property
    def dropout(self) -> float:
        """After each part, while training."""


class Attending(nn.Module):
    """Attention, whatever it sees: a joint map to queries, keys and values, and one back."""

    def __init__(self, spec: PartSizes, heads: int) -> None:
        super().__init__()
        self.heads, self.dropout = heads, spec.dropout
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.out = nn.Linear(spec.width, spec.width, bias=False)


def shares(q: Tensor, k: Tensor, added: Tensor | None = None) -> Tensor:
    """Return how much each query takes from each key, `(N, H, T, S)`, rows of 1.

    What `scaled_dot_product_attention` multiplies the values by, and keeps to itself; `added` goes
    to the scores before they become shares.
    """
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    taken: Tensor = (scores if added is None else scores + added).softmax(-1)
    return taken


A = TypeVar("A", bound=Attending)


class Parts(nn.Module, Generic[A]):
    """Attention and a feed-forward network, each behind a norm and beside a residual."""

    def __init__(self, spec: PartSizes, attention: A) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.width)
        self.attention = attention
        self.norm2 = nn.LayerNorm(spec.width)
        self.up = nn.Linear(spec.width, spec.feed_forward, bias=False)
        self.down = nn.Linear(spec.feed_forward, spec.width, bias=False)
        self.dropout = nn.Dropout(spec.dropout)

    def rest(self, x: Tensor, found: Tensor) -> Tensor:
        """Add what attention `found` to `x`, and what the network makes of that; `(..., D)`."""
        x = x + self.dropout(found)
        y: Tensor = x + self.dropout(self.down(F.relu(self.up(self.norm2(x)))))  # (..., M) inside
        return y

    def write_rest(self, graph: GraphBuilder, x: str, heads: str, name: str) -> str:
        """Write the same of what the `heads` have found, called `name` in the graph."""
        x = graph.op("Add", x, linear(graph, heads, self.attention.out, f"{name}.attention.out"))
        y = norm(graph, x, self.norm2, f"{name}.norm2")
        y = graph.op("Relu", linear(graph, y, self.up, f"{name}.up"))
        return graph.op("Add", x, linear(graph, y, self.down, f"{name}.down"))
