"""What the modules of a model were fed while it ran over one input."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseq.models import SequenceModel

M = TypeVar("M", bound=nn.Module)


def inputs_of(
    model: SequenceModel, frames: NDArray[np.float32], kind: type[M]
) -> list[tuple[M, Tensor]]:
    """Run `model` over raw frames `(T, F)`; return each module of `kind` and what it was fed."""
    with watched(model, kind) as seen:
        model(torch.from_numpy(frames)[None])
    return seen


@contextmanager
def watched(model: SequenceModel, kind: type[M]) -> Iterator[list[tuple[M, Tensor]]]:
    """Yield a list that each module of `kind` and what it is fed join, in the order they run.

    Of several streams the first one's is kept.
    """
    seen: list[tuple[M, Tensor]] = []

    def note(module: M, arguments: tuple[Tensor, ...]) -> None:
        seen.append((module, arguments[0][0]))

    modules = [module for module in model.modules() if isinstance(module, kind)]
    hooks = [module.register_forward_pre_hook(note) for module in modules]
    try:
        with evaluated(model), torch.no_grad():
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """Put `model` into evaluation mode, and back into the mode it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def exact(tensor: Tensor) -> NDArray[np.float64]:
    """Return a tensor's values in double precision."""
    values: NDArray[np.float64] = tensor.detach().double().numpy()
    return values
