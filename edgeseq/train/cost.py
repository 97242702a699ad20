"""What one step of training costs: operations, bytes, and a step on drawn frames to be timed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from edgeseq.contract import Frame, Output
from edgeseq.models import SequenceModel
from edgeseq.train.settings import FitSettings
from edgeseq.train.step import Learner

BACKWARD = 3
"""A step is counted as three forward passes: gradients of weights and of inputs are as many
products each as the outputs are."""
TOUCHES = 9
"""How often each weight's bytes move: it is read forward and backward; its gradient is written and
read; AdamW reads and writes two moments and writes the weight."""


@dataclass(frozen=True)
class StepCost:
    """What one step has to do."""

    flops: int
    """Multiplications and additions in products of matrices, by `BACKWARD`'s convention."""
    bytes: int
    """What has to move, at least: weights as `TOUCHES` says, what the forward pass keeps for the
    backward pass twice, and the frames once."""
    kept_bytes: int
    """What PyTorch keeps of the forward pass for the backward pass."""


def draw_batch(
    frame: Frame, output: Output, batch: int, length: int, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return random frames `(N, T, F)` and targets of the shapes that a task has."""
    generator = torch.Generator().manual_seed(seed)
    size, tokens, labels = (batch, length), len(frame.vocabulary), len(output.labels)
    if tokens:
        frames = torch.randint(tokens, (*size, 1), generator=generator).float()
    else:
        frames = torch.randn(*size, frame.size, generator=generator)
    if output.kind == "value":
        return frames, torch.randn(*size, labels, generator=generator)
    return frames, torch.randint(labels, size, generator=generator)


def step_on(
    model: SequenceModel,
    settings: FitSettings,
    frame: Frame,
    output: Output,
    batch: tuple[Tensor, Tensor],
) -> Callable[[], float]:
    """Return a function that learns from the same batch at every call and returns the loss."""
    learner = Learner(model.train(), settings, frame, output)
    frames, target = batch
    return lambda: learner.learn(frames, target)


def step_cost(model: SequenceModel, frames: Tensor) -> StepCost:
    """Count what a step on `frames` `(N, T, F)` has to do; the model is on the CPU.

    Products that attention makes are counted as it makes them: in blocks of its window, not over
    all pairs of frames.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    own = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    rules = {torch.ops.aten.mkldnn_rnn_layer: _recurrent}
    counter = FlopCounterMode(display=False, custom_mapping=rules)
    was_training = model.training
    model.train()
    with sdpa_kernel(SDPBackend.MATH), saved_tensors_hooks(keep, lambda tensor: tensor), counter:
        outputs = model(frames)
    model.train(was_training)
    del outputs
    weights = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    kept_bytes = sum(kept.values())
    moved = TOUCHES * weights + 2 * kept_bytes + frames.numel() * frames.element_size()
    return StepCost(BACKWARD * counter.get_total_flops(), moved, kept_bytes)


def _recurrent(
    frames: tuple[int, ...],
    inputs: tuple[int, ...],
    hidden: tuple[int, ...],
    *_: object,
    **__: object,
) -> int:
    """Count oneDNN's LSTM layer: frames `(T, N, I)` by weights `(4 H, I)` and `(4 H, H)`."""
    rows = frames[0] * frames[1]
    return 2 * rows * (inputs[0] * inputs[1] + hidden[0] * hidden[1])
