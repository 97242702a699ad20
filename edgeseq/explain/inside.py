"""Importance from inside: how much of each frame gates let through, and attention looked at.

Both become one matrix a layer, who took how much from whom, and layers are multiplied. Neither asks
what the values are that were let through, or whether the decision needed them: that is what
`occlude` asks, and what a claim to read them has to be held against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Exact = NDArray[np.float64]


@dataclass(frozen=True)
class Gates:
    """What one recurrent layer did at every frame. Sizes: T frames, H units."""

    layer: int
    cell: Literal["lstm", "gru"]
    activations: Mapping[str, Exact]
    """`(T, H)` from 0 to 1 by gate: `input`, `forget`, `output`, or `update`, `reset`."""
    candidate: Exact
    """`(T, H)` what a frame would write, -1 to 1."""
    hidden: Exact
    """`(T, P)` what the layer passes on; computed from the gates."""
    residual: bool = False
    """The layer's input goes on beside what it passes on."""

    def written(self) -> Exact:
        """Return how much each frame writes into each unit, `(T, H)`."""
        gates = self.activations
        opened = gates["input"] if self.cell == "lstm" else 1 - gates["update"]
        written: Exact = opened * np.abs(self.candidate)
        return written

    def kept(self) -> Exact:
        """Return the share that each unit keeps of what was there before a frame, `(T, H)`."""
        return self.activations["forget" if self.cell == "lstm" else "update"]

    def shown(self) -> Exact:
        """Return the share that each unit shows of what it holds, `(T, H)`; a GRU shows all."""
        output = self.activations.get("output")
        every: Exact = np.ones_like(self.candidate)
        return every if output is None else output

    def flow(self) -> Exact:
        """Return what each frame shows of what it and each before it wrote, `(T, T)`, rows of 1.

        That is the input gate times the candidate's size, times all forget gates since, summed over
        units by the output gate.
        """
        written, kept, shown = self.written(), self.kept(), self.shown()
        left = np.zeros_like(written)  # of what each frame wrote, (T, H)
        flow = np.zeros((len(written), len(written)))
        for frame in range(len(written)):
            left[:frame] *= kept[frame]
            left[frame] = written[frame]
            flow[frame, : frame + 1] = left[: frame + 1] @ shown[frame]
        return _shared(flow)


@dataclass(frozen=True)
class Attended:
    """Who attended to whom in one layer. Sizes: H heads, S places."""

    layer: int
    weights: Exact
    """`(H, S, S)`, each row's sum 1: what the place of a row took from each place."""
    first: int = 0
    """Frame of the first place; below 0: the window reaches back before the stream's start."""
    row: int = -1
    """Place that the output was read from."""

    def flow(self) -> Exact:
        """Return the mean over heads, `(S, S)`."""
        mean: Exact = self.weights.mean(0)
        return mean


def gated_importance(layers: Sequence[Gates]) -> Exact:
    """Return how much of each frame is in what the last layer shows at the last one, `(T,)`."""
    return rollout([(layer.flow(), layer.residual) for layer in layers])


def attended_importance(layers: Sequence[Attended], frames: int) -> Exact:
    """Return how much the output took from each of `frames`, through all layers, `(T,)`."""
    found = rollout([(layer.flow(), True) for layer in layers], layers[0].row)
    first = layers[0].first
    importance = np.zeros(frames)
    importance[max(0, first) : first + len(found)] = found[max(0, -first) :]
    return importance


def rollout(layers: Sequence[tuple[Exact, bool]], row: int = -1) -> Exact:
    """Return what `row` took from each place, its matrices multiplied from the first layer on.

    Attention rollout, Abnar & Zuidema 2020, arXiv:2005.00928: where a layer has a residual beside
    it, half of what goes on comes from the place itself.
    """
    total: Exact = np.eye(len(layers[0][0]))
    for flow, residual in layers:
        total = ((flow + np.eye(len(flow))) / 2 if residual else flow) @ total
    taken: Exact = total[row]
    return taken


def _shared(flow: Exact) -> Exact:
    """Make each row's sum 1; a row of nothing stays nothing."""
    total = flow.sum(1, keepdims=True)
    shared: Exact = np.divide(flow, total, out=np.zeros_like(flow), where=total > 0)
    return shared
