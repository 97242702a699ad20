"""What a model family is: sizes, a PyTorch module, and how that module writes itself as a graph."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor, nn

from edgeseq.contract import Form

if TYPE_CHECKING:
    from edgeseq.export.ends import Built, Ends

TOKEN_SIZE = 32
"""Values that a token is embedded in, unless a family says otherwise."""


@dataclass(frozen=True)
class Spec(ABC):
    """Sizes of a model; a family's own are the fields of its dataclass."""

    family: ClassVar[str]
    """As in the registry."""
    takes_tokens: ClassVar[bool] = False
    """The body is fed tokens `(N, T)` and embeds them itself, so frames have to be tokens; its
    `inputs` are how many there are."""

    @property
    def token_size(self) -> int:
        """Values that a token is embedded in, where frames are tokens."""
        return TOKEN_SIZE

    @property
    def delay(self) -> int:
        """Frames between the one that an output describes and the one that it is given with."""
        return 0

    @abstractmethod
    def parameters(self, inputs: int, outputs: int) -> int:
        """Count the trainable parameters of a body with `inputs` and `outputs` a frame."""

    @classmethod
    @abstractmethod
    def sized(cls, parameters: int, inputs: int, outputs: int, context: int = 64) -> Self:
        """Return the sizes of a model with at most `parameters` parameters, and nearly as many.

        Args:
            parameters: trainable ones.
            inputs: values a frame.
            outputs: values a frame.
            context: frames that it should see at once, where the family has to choose.

        Raises:
            UsageError: no model of the family is that small.
        """


class Body(nn.Module, ABC):
    """A family's network: normalised frames `(N, T, I)` → outputs `(N, T, C)`.

    `outputs[:, t]` follows from frames up to `t` alone, from a reset state. A subclass is made
    from its spec, inputs and outputs: `Body(spec, inputs, outputs)`.
    """

    forms: ClassVar[tuple[Form, ...]] = ("step", "sequence")
    """What graphs it can write itself as."""
    at_once: ClassVar[tuple[str, ...]] = ()
    """Weights, as patterns of their names, of products that a call of one frame makes of several
    frames: these share a scale there in dynamic int8."""
    asked: Tensor | None = None
    """Frames that the last `forward` answered for while training; only these can be learned from.
    None: all of them."""

    @property
    def memory(self) -> int | None:
        """Frames that an output depends on, the newest among them; none: all since the reset."""
        return None

    @abstractmethod
    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence."""

    @abstractmethod
    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the step graph's state after the whole sequence, by the names in `write`."""

    def state_after(self, frames: Tensor, form: Form) -> dict[str, Tensor]:
        """Return the state of a graph of `form` after the whole sequence, by its names."""
        return self.final_state(frames)

    @abstractmethod
    def write(self, ends: "Ends", form: Form, *, newest: bool) -> "Built":
        """Write the graph between `ends`: from `ends.frames()` to what `ends.head()` returns.

        Args:
            ends: both ends of the graph, its sizes, and its builder.
            form: one of `forms`.
            newest: use the newest operators where they make one frame a call faster.
        """


@dataclass(frozen=True)
class Family:
    """What makes up a model family."""

    spec: type[Spec]
    body: type[Body]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What suits it of `edgeseq.train.FitSettings`, other than the defaults."""
