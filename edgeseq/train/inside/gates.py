"""Gates of LSTM and GRU layers, frame by frame, computed again from their weights.

PyTorch runs whole layers at once and keeps no gate. What is computed here is checked by what comes
of it: the hidden states are the layer's own. Sizes: T frames, I inputs, H units, P hidden values.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseq.errors import UsageError
from edgeseq.explain.inside import Gates
from edgeseq.models import SequenceModel
from edgeseq.models.hybrid import Recurrence
from edgeseq.train.inside.seen import exact, inputs_of


def gates_of(model: SequenceModel, frames: NDArray[np.float32]) -> tuple[Gates, ...]:
    """Return the gates of every recurrent layer while `model` runs over raw frames `(T, F)`.

    Raises:
        UsageError: the family has no gates.
    """
    beside = {id(part.lstm) for part in model.modules() if isinstance(part, Recurrence)}
    found: list[Gates] = []
    for module, x in inputs_of(model, frames, nn.RNNBase):
        found += layers_of(module, x.double(), len(found), residual=id(module) in beside)
    if not found:
        raise UsageError(
            f"a model of the family {model.spec.family} has no gates; choose --method occlusion"
        )
    return tuple(found)


def layers_of(
    module: nn.RNNBase, x: Tensor, first: int = 0, *, residual: bool = False
) -> Iterator[Gates]:
    """Yield the gates of a module's layers, fed `(T, I)`, each fed what the one before shows."""
    for layer in range(module.num_layers):
        weights = [exact_weight.double() for exact_weight in module.all_weights[layer]]
        with torch.no_grad():
            run = _lstm if isinstance(module, nn.LSTM) else _gru
            activations, candidate, x = run(x, *weights)
        yield Gates(
            layer=first + layer,
            cell="lstm" if isinstance(module, nn.LSTM) else "gru",
            activations={name: exact(values) for name, values in activations.items()},
            candidate=exact(candidate),
            hidden=exact(x),
            residual=residual,
        )


Layer = tuple[dict[str, Tensor], Tensor, Tensor]
"""Gates by name and candidate `(T, H)`, hidden states `(T, P)`."""


def _lstm(
    x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, w_hr: Tensor | None = None
) -> Layer:
    """Run one layer; its gates lie in the order input, forget, candidate, output."""
    hidden, cell = x.new_zeros(w_hh.shape[1]), x.new_zeros(len(w_hh) // 4)
    new = x @ w_ih.T + b_ih + b_hh  # (T, 4 H)
    steps, shown = [], []
    for frame in new:
        i, f, g, o = (frame + w_hh @ hidden).chunk(4)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        cell = f * cell + i * g
        hidden = o * cell.tanh()
        if w_hr is not None:
            hidden = w_hr @ hidden
        steps.append(torch.stack([i, f, g, o]))
        shown.append(hidden)
    i, f, g, o = torch.stack(steps, 1)  # (T, H) each
    return {"input": i, "forget": f, "output": o}, g, torch.stack(shown)


def _gru(x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Layer:
    """Run one layer; its gates lie in the order reset, update, candidate."""
    hidden = x.new_zeros(w_hh.shape[1])
    new = x @ w_ih.T + b_ih  # (T, 3 H)
    steps, shown = [], []
    for frame in new:
        (r, z, n), (old_r, old_z, old_n) = frame.chunk(3), (w_hh @ hidden + b_hh).chunk(3)
        r, z = (r + old_r).sigmoid(), (z + old_z).sigmoid()
        n = (n + r * old_n).tanh()
        hidden = (1 - z) * n + z * hidden
        steps.append(torch.stack([r, z, n]))
        shown.append(hidden)
    r, z, n = torch.stack(steps, 1)
    return {"update": z, "reset": r}, n, torch.stack(shown)
