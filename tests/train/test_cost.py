"""What a step of training costs, counted twice: as PyTorch runs it, and as its graph says."""

import pytest
import torch
from export.small import FRAME, LOGITS, VALUE, graph_of, model_of

from edgeseq.bench.achieved import graph_work
from edgeseq.contract import Frame, Output
from edgeseq.graph.build import read_contract
from edgeseq.train.cost import BACKWARD, TOUCHES, draw_batch, step_cost, step_on
from edgeseq.train.settings import FitSettings

TOKENS = Frame(("character",), ("token",), 1.0, vocabulary=("a", "b", "c", "d"))
NEXT = Output(kind="logits", labels=TOKENS.vocabulary)


@pytest.mark.parametrize("name", ["lstm", "lstm-projected", "gru", "transformer", "hybrid"])
def test_three_times_what_the_graph_multiplies(name):
    """8 frames are the window of attention, so PyTorch makes all pairs, too."""
    frames, _ = draw_batch(FRAME, LOGITS, 2, 8)
    graph = graph_of(name, form="sequence", streams=2, frames=8)
    work = graph_work(graph, read_contract(graph, name))
    assert step_cost(model_of(name), frames).flops == BACKWARD * work.flops


def test_attention_is_counted_in_blocks_as_it_is_made():
    """20 frames in blocks of 8: 24 queries meet 16 keys each, never all 20."""
    width, layers = 16, 2
    each = 4 * width + layers * (4 * width**2 + 2 * width * 20) + width * 3
    frames, _ = draw_batch(FRAME, LOGITS, 1, 20)
    found = step_cost(model_of("transformer"), frames)
    assert found.flops == BACKWARD * 2 * (20 * each + layers * 24 * 16 * 2 * width)


def test_bytes_are_weights_frames_and_what_is_kept():
    model = model_of("gru")
    short, long = (step_cost(model, draw_batch(FRAME, LOGITS, 2, n)[0]) for n in (4, 40))
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    for cost, length in ((short, 4), (long, 40)):
        assert cost.bytes == TOUCHES * weights + 2 * cost.kept_bytes + 2 * length * FRAME.size * 4
    least = 2 * 40 * 2 * 6 * 4  # the outputs of both layers are needed again
    assert least < long.kept_bytes
    assert 9 < long.kept_bytes / short.kept_bytes < 11


def test_counting_leaves_the_model_as_it_was():
    model = model_of("transformer")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step_cost(model, draw_batch(FRAME, LOGITS, 1, 4)[0])
    assert not model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("frame", "output", "size", "targets"),
    [
        (FRAME, LOGITS, (2, 5, 4), (2, 5)),
        (FRAME, VALUE, (2, 5, 4), (2, 5, 2)),
        (TOKENS, NEXT, (2, 5, 1), (2, 5)),
    ],
    ids=["classes", "values", "tokens"],
)
def test_a_drawn_batch_has_the_shape_of_a_task(frame, output, size, targets):
    frames, target = draw_batch(frame, output, 2, 5)
    assert (tuple(frames.shape), tuple(target.shape)) == (size, targets)
    if frame.vocabulary:
        assert set(frames.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}
    if output.kind == "logits":
        assert 0 <= target.min() <= target.max() < len(output.labels)
    assert torch.equal(frames, draw_batch(frame, output, 2, 5)[0])


def test_a_step_learns():
    import copy

    model = copy.deepcopy(model_of("lstm"))
    step = step_on(model, FitSettings(lr=0.02), FRAME, LOGITS, draw_batch(FRAME, LOGITS, 8, 6))
    losses = [step() for _ in range(40)]
    assert losses[-1] < 0.9 * losses[0]
