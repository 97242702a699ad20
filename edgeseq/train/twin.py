"""A model's twin that computes as the quantized file will, on the model's own parameters.

Models stay plain: what multiplies by weights (`nn.Linear`, `nn.LSTM`, `nn.GRU`) is replaced in the
twin by what rounds both sides of every product. ONNX Runtime finds the scale of activations anew in
every call, and an app feeds one frame of one stream a call. So every frame has a scale of its own
here, and every hidden state another one, which is why layers go from frame to frame. Only what a
body multiplies for several frames in one call, `Body.at_once`, has one scale for all of them.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseq.export.layers import query_scale
from edgeseq.models import SequenceModel
from edgeseq.models.blocks import Attending
from edgeseq.recipes import matches
from edgeseq.train.rounding import Rounding

Roundings = Callable[[str], Rounding]
"""By the name of a weight in the exported file: `W0`, `R0`, `P0`, `head`, `blocks.0.up`."""

State = tuple[Tensor, ...]
"""Of one layer `(N, H)` each, the hidden state first, which a projection makes `(N, P)`."""

Cell = Callable[[Tensor, Tensor, State], State]
"""What the weights made of a frame and of the hidden state, the state → the next state."""


def twin_of(model: SequenceModel, roundings: Roundings) -> SequenceModel:
    """Return a model that shares the parameters of `model` and rounds as `roundings` say."""
    shared = [*model.parameters(), *model.buffers()]
    twin = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
    layers = 0  # numbered through the model, as export numbers them
    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.LSTM | nn.GRU):
            twin.set_submodule(name, _Layers(module, roundings, layers))
            layers += module.num_layers
        elif isinstance(module, nn.Linear):
            weight = name.removeprefix("body.")
            at_once = any(matches(weight, pattern) for pattern in model.body.at_once)
            linear = _Linear(module, roundings(weight), _folded(model, name), at_once=at_once)
            twin.set_submodule(name, linear)
    return twin.train(model.training)  # what is new trains until it is told


def _folded(model: SequenceModel, name: str) -> Tensor | None:
    """Return the factor a row that export puts into a weight; one scale for all rows feels it."""
    if name == "body.head":
        return model.output_std[:, None]
    owner = model.get_submodule(name.rpartition(".")[0])
    if not isinstance(owner, Attending) or not name.endswith(".qkv"):
        return None
    weight = owner.qkv.weight
    factors = torch.from_numpy(query_scale(owner.qkv.in_features, owner.heads))
    return factors[:, None].to(weight)


class _Linear(nn.Module):
    """`nn.Linear` with both sides rounded."""

    folded: Tensor | None

    def __init__(
        self, linear: nn.Linear, rounding: Rounding, folded: Tensor | None, *, at_once: bool
    ) -> None:
        super().__init__()
        self.linear, self.rounding = linear, rounding
        self.frames = (at_once and rounding.at_once) or rounding.frames
        self.register_buffer("folded", folded)

    @property
    def weight(self) -> Tensor:
        """What is looked up in, where the weight is a table, too."""
        return self.rounding.lookup(self.linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(..., K)` to `(..., M)`."""
        weight = self.linear.weight
        if self.folded is None:
            weight = self.rounding.weight(weight)
        else:
            weight = self.rounding.weight(weight * self.folded) / self.folded
        return F.linear(self.frames(x), weight, self.linear.bias)


class _Layers(nn.Module):
    """`nn.LSTM` or `nn.GRU`, frame by frame, with both sides of its products rounded."""

    def __init__(self, layers: nn.LSTM | nn.GRU, roundings: Roundings, first: int) -> None:
        """Take the place of `layers`, of which the first has the number `first` in the file."""
        super().__init__()
        self.layers, self.roundings, self.first = layers, roundings, first
        self.cell: Cell = lstm_cell if isinstance(layers, nn.LSTM) else gru_cell

    def forward(self, frames: Tensor) -> tuple[Tensor, None]:
        """Map `(N, T, F)` to the last layer's hidden states `(N, T, H)`; no state is returned."""
        x = frames
        for layer in range(self.layers.num_layers):
            if layer:
                x = F.dropout(x, self.layers.dropout, self.training)
            x = self._layer(layer, x)
        return x, None

    def _layer(self, layer: int, x: Tensor) -> Tensor:
        """Return the hidden states `(N, T, H)` of a layer that is fed `x`."""
        number = self.first + layer
        inputs, hidden = self.roundings(f"W{number}"), self.roundings(f"R{number}")
        x_weight, h_weight, x_bias, h_bias, *projections = self.layers.all_weights[layer]
        project = [_projection(self.roundings(f"P{number}"), weight) for weight in projections]
        x_gates = F.linear(inputs.frames(x), inputs.weight(x_weight), x_bias)  # (N, T, G H)
        rounded = hidden.weight(h_weight)  # once, not once a frame
        state: State = (
            x.new_zeros(len(x), h_weight.shape[1]),
            x.new_zeros(len(x), self.layers.hidden_size),
        )
        every = []
        for gates in x_gates.unbind(1):
            h_gates = F.linear(hidden.frames(state[0]), rounded, h_bias)
            h, *others = self.cell(gates, h_gates, state)
            for narrow in project:  # none, or one
                h = narrow(h)
            state = (h, *others)
            every.append(h)
        return torch.stack(every, 1)


def _projection(rounding: Rounding, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what maps what the gates give `(N, H)` to the hidden state `(N, P)`."""
    rounded = rounding.weight(weight)
    return lambda wide: F.linear(rounding.frames(wide), rounded)


def lstm_cell(x_gates: Tensor, h_gates: Tensor, state: State) -> State:
    """Return hidden and cell state after a frame; PyTorch's order of gates."""
    i, f, g, o = (x_gates + h_gates).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_cell(x_gates: Tensor, h_gates: Tensor, state: State) -> State:
    """Return the hidden state after a frame; the reset gate multiplies what the weights made."""
    h, hidden = state[0], state[0].shape[-1]
    r, z = (x_gates[:, : 2 * hidden] + h_gates[:, : 2 * hidden]).sigmoid().chunk(2, -1)
    n = (x_gates[:, 2 * hidden :] + r * h_gates[:, 2 * hidden :]).tanh()
    return (n + z * (h - n),)
