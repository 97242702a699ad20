"""The forms that are there to be compared: the step graph's answers from other states."""

import numpy as np
import onnx
import pytest
import torch
from export.small import (
    FRAME,
    LOGITS,
    Loop,
    frames_of,
    graph_of,
    loop_of,
    model_of,
    relative_error,
    whole,
)
from export.test_graph import metadata, reachable
from export.test_parity import assert_in_place_is_exact

from edgeseq.contract import Contract
from edgeseq.errors import UsageError
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.transformer import TransformerSpec

LIMIT = 1e-5
REACH, WINDOW = 5, 3
"""Two blocks of a window of 3 frames: an answer depends on 5."""
FORMS = ("recompute", "growing-cache")
DIFFERENT = ("learned", "rotary", "relative")
"""Kinds of positions with nodes of their own."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", DIFFERENT)
def test_any_cut_and_one_frame_are_the_whole(kind, form):
    model = model_of(kind)
    frames = frames_of(model, 2, 40)
    with torch.inference_mode():
        expected = model.final_state(torch.from_numpy(frames), form)
    for options, cuts in (({}, [1, 4, 5, 1, 6, 3, 20]), ({"frames": 1, "streams": 2}, [1] * 40)):
        outputs, state = loop_of(kind, form=form, **options).run(frames, cuts)
        assert relative_error(outputs, whole(model, frames)) <= LIMIT
        assert list(state) == list(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(state[key], value.numpy(), atol=2e-5, err_msg=key)


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_the_smallest_windows(form, window):
    torch.manual_seed(0)
    spec = TransformerSpec(4, feed_forward=3, layers=1, heads=1, window=window)
    model = SequenceModel(spec, FRAME.size, 3).eval()
    graph = build_graph(model, FRAME, LOGITS, form=form, producer="test", recipe="test")
    frames = frames_of(model, 1, 12)
    outputs, _ = Loop(graph).run(frames, [1, 2, 3, 1, 5])
    assert relative_error(outputs, whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("kind", DIFFERENT)
def test_kept_frames_are_all_that_counts(kind):
    """Streams at any age, reset alone, written in place, and for ever: the counter falls back."""
    model, loop = model_of(kind), loop_of(kind, form="recompute")
    sizes = {state.input: state.shape for state in loop.contract.states}
    assert sizes == {"cached_frames": ("N", str(REACH - 1), "4"), "cached_position": ("N",)}
    frames = frames_of(model, 2, 50)
    _, state = loop.run(frames[:, :23], [1] * 23)
    for value in state.values():
        value[1] = 0
    state["cached_frames"][1] = 1e6  # whatever lies there: the counter says that it is not there
    positions, outputs = [], []
    for t in range(23, 50):
        one, state = loop.call(frames[:, t : t + 1], state)
        positions.append(state["cached_position"][0])
        outputs.append(one)
    expected = np.concatenate([whole(model, frames[:1])[:, 23:], whole(model, frames[1:, 23:])])
    assert relative_error(np.concatenate(outputs, axis=1), expected) <= LIMIT
    highest = REACH - 1 + 2 * WINDOW - 1
    assert set(positions) == set(range(REACH - 1, highest + 1))
    assert_in_place_is_exact(loop, frames, [1, 1, 4, 9, 2, 33])


@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_a_wrong_phase_of_recomputed_frames_is_seen(kind):
    broken = onnx.ModelProto()
    broken.CopyFrom(graph_of(kind, form="recompute"))
    for item in broken.graph.initializer:
        if item.name in ("wrap", "period"):
            less = onnx.numpy_helper.to_array(item) - 1
            item.CopyFrom(onnx.numpy_helper.from_array(less, item.name))
    model = model_of(kind)
    frames = frames_of(model, 1, 30)
    outputs, _ = Loop(broken).run(frames, [1] * 30)
    assert relative_error(outputs, whole(model, frames)) > 0.01


@pytest.mark.parametrize("kind", DIFFERENT)
def test_recompute_waits_for_every_reader(kind):
    made = graph_of(kind, form="recompute")
    for state in Contract.from_metadata(metadata(made), where="t").states:
        nodes = [node for node in made.graph.node if node.op_type != "Shape"]
        (writer,) = (node for node in nodes if state.output in node.output)
        for reader in (node for node in nodes if state.input in node.input):
            assert reachable(made, reader.output) & set(writer.input)


def test_a_growing_cache_says_so():
    contract = loop_of("rotary", form="growing-cache").contract
    assert contract.grows
    assert not loop_of("rotary").contract.grows
    assert contract.state_bytes == 2 * 2 * 12 * 4  # two blocks' keys and values a frame
    assert {state.shape for state in contract.states} == {("N", "2", "P", "6")}
    assert not any(state.in_place for state in contract.states)
    _, state = loop_of("rotary", form="growing-cache").run(frames_of(model_of("rotary"), 3, 9), [9])
    assert {array.shape for array in state.values()} == {(3, 2, 9, 6)}


def test_families_without_a_form_refuse_it_in_one_line():
    model = model_of("lstm")
    with pytest.raises(UsageError) as caught:
        build_graph(model, FRAME, LOGITS, form="recompute", producer="test", recipe="test")
    assert str(caught.value) == (
        "a model of the family lstm has no form recompute; it has: step, sequence"
    )


@pytest.mark.parametrize("form", FORMS)
def test_dropped_frames_do_not_count(form):
    """Past the reach nothing matters: a stream is what its last frames say, but for the phase."""
    model = model_of("relative")
    frames = frames_of(model, 1, 30)
    changed = frames.copy()
    changed[:, : 30 - REACH] += 7
    loop = loop_of("relative", form=form)
    first, second = (loop.run(one, [1] * 30)[0][:, -1] for one in (frames, changed))
    np.testing.assert_allclose(first, second, atol=1e-5)
