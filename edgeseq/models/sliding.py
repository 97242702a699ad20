"""Models of a whole window: the output at a frame follows from the last W frames, computed anew.

Before a stream's first frame lie zeros, which are average frames. So the state is the frames alone,
and a step graph is the recomputation: the forms `step` and `recompute` are one.

Sizes: N streams, T frames, I values a frame, W window, C outputs, B windows of any streams.
"""

from abc import abstractmethod
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseq.contract import Form
from edgeseq.export.ends import Built, Ends
from edgeseq.export.recent import Recent
from edgeseq.models.family import Body

BATCH = 256
"""Windows that are computed at once where every frame is asked for: they bound the memory."""
HOPS = 4
"""Windows a window's length that are asked for in training. All of them would cost W times what one
costs, and neighbours say nearly the same."""


class SlidingSizes(Protocol):
    """Sizes of a model of a whole window."""

    @property
    def window(self) -> int:
        """Frames that an output follows from (`W`)."""


class Sliding(Body):
    """A body made of what it computes of one window."""

    forms = ("step", "sequence", "recompute")
    at_once = ("*",)

    def __init__(self, spec: SlidingSizes, inputs: int) -> None:
        super().__init__()
        self.window, self.inputs = spec.window, inputs

    @property
    def memory(self) -> int:
        """The window, and nothing before it."""
        return self.window

    @abstractmethod
    def window_outputs(self, windows: Tensor) -> Tensor:
        """Map windows `(B, W, I)` to the outputs of their last frames `(B, C)`."""

    @abstractmethod
    def write_windows(self, ends: Ends, windows: str) -> str:
        """Write what `window_outputs` computes: `(N, T, W, I)` to what `ends.head()` returns."""

    def forward(self, frames: Tensor) -> Tensor:
        """Run the whole sequence.

        While training only the windows of the frames `asked` are computed. Each output is held
        until the next, as an app does that computes one every few frames.
        """
        behind = F.pad(frames, (0, 0, self.window - 1, 0))  # (N, W - 1 + T, I)
        if self.training:
            return self._held(behind, frames.shape[1])
        size = max(1, BATCH // len(frames))
        every = behind.unfold(1, self.window, 1)  # (N, T, I, W), a view
        parts = torch.split(every, size, dim=1)
        return torch.cat([self._outputs(part.transpose(2, 3)) for part in parts], dim=1)

    def _held(self, behind: Tensor, length: int) -> Tensor:
        """Compute the outputs of some frames and repeat each; note which frames these are."""
        asked = self.asked = _asked(length, max(1, self.window // HOPS)).to(behind.device)
        offsets = torch.arange(self.window, device=behind.device)
        outputs = self._outputs(behind[:, asked[:, None] + offsets])
        latest = torch.searchsorted(asked, torch.arange(length, device=asked.device), right=True)
        return outputs[:, (latest - 1).clamp(min=0)]

    def _outputs(self, windows: Tensor) -> Tensor:
        """Map `(N, T, W, I)` to `(N, T, C)`."""
        outputs = self.window_outputs(windows.flatten(0, 1))
        return outputs.view(*windows.shape[:2], -1)

    def final_state(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the state after the whole sequence, by the contract's names."""
        before = self.window - 1
        return {"cached_frames": F.pad(frames, (0, 0, before, 0))[:, frames.shape[1] :]}

    def write(self, ends: Ends, form: Form, *, newest: bool) -> Built:
        """Write the graph: the windows of all frames, and what is computed of each."""
        del newest  # no newer operator makes it faster
        recent = Recent(
            ends.graph, ends.size, self.window, self.inputs, stateful=form != "sequence"
        )
        y = self.write_windows(ends, recent.windows(ends.frames()))
        return Built(y, tuple(recent.states))


def _asked(length: int, hop: int) -> Tensor:
    """Draw the frames to ask in training: the last, and one of every `hop` frames before it.

    Drawn, because a stream that has just begun may be any part of a window long.
    """
    earlier = torch.arange(1, length, hop)  # frames before the last
    earlier += torch.randint(hop, earlier.shape)
    back = torch.cat([torch.zeros(1, dtype=torch.long), earlier])
    return (length - 1 - back).flip(0).clamp(min=0)
