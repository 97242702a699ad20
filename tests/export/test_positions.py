"""Graphs with every kind of positions are PyTorch's, from any legal state on, for ever."""

import json

import numpy as np
import onnx
import pytest
import torch
from export.small import (
    KINDS,
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
from hypothesis import given, settings
from hypothesis import strategies as st
from models.plain import transformer

from edgeseq.contract import METADATA_KEY, Contract

LIMIT = 1e-5
WINDOW = 3
ABSOLUTE = ("sinusoidal", "learned")
GRAPHS = {"any chunk": {}, "one frame": {"newest": True, "frames": 1}}


def cut(graph, cuts):
    return [1] * sum(cuts) if graph == "one frame" else cuts


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=2)
@given(data=st.data())
def test_any_cut_in_place_is_the_whole(kind, data):
    cuts = data.draw(st.lists(st.integers(1, 4 * WINDOW), min_size=2, max_size=8))
    model, loop = model_of(kind), loop_of(kind)
    frames = frames_of(model, 3, sum(cuts), seed=data.draw(st.integers(0, 99)))
    outputs, _ = loop.run(frames, cuts)
    assert relative_error(outputs, whole(model, frames)) <= LIMIT
    assert_in_place_is_exact(loop, frames, cuts)


@pytest.mark.parametrize("kind", KINDS)
def test_one_frame_and_sequence_are_the_whole(kind):
    model = model_of(kind)
    frames = frames_of(model, 2, 9 * WINDOW + 1)
    step, length = loop_of(kind, **GRAPHS["one frame"]), frames.shape[1]
    outputs, state = step.run(frames, [1] * length)
    assert relative_error(outputs, whole(model, frames)) <= LIMIT
    assert_in_place_is_exact(step, frames, [1] * length)
    outputs, _ = loop_of(kind, form="sequence").run(frames, [length])
    assert relative_error(outputs, whole(model, frames)) <= LIMIT
    with torch.inference_mode():
        expected = model.final_state(torch.from_numpy(frames))
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(state[key], value.numpy(), atol=2e-5, err_msg=key)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kind", KINDS)
def test_streams_reset_at_different_times_are_each_alone(kind, graph):
    model, loop = model_of(kind), loop_of(kind, **GRAPHS[graph])
    frames = frames_of(model, 3, 40)
    resets, state, outputs = [0, 17, 29], loop.fresh(3), []
    for begin, end in ((0, 17), (17, 29), (29, 40)):
        for stream, at in enumerate(resets):
            if at == begin:
                for value in state.values():
                    value[stream] = 0
        out, state = loop.run(frames[:, begin:end], cut(graph, [5, end - begin - 5]), state)
        outputs.append(out)
    outputs = np.concatenate(outputs, axis=1)
    for stream, at in enumerate(resets):
        alone = whole(model, frames[stream : stream + 1, at:])
        assert relative_error(outputs[stream : stream + 1, at:], alone) <= LIMIT


def far_ahead(model, begin, length, more):
    """Return the state of a stream `begin` frames old, what it is fed then, and what comes out.

    By NumPy, with angles of the true frame numbers: nothing there repeats or wraps.
    """
    seen, spec = length + more, model.spec
    frames = frames_of(model, 1, seen)
    x = ((frames[0] - model.input_mean.numpy()) / model.input_std.numpy()).astype(np.float64)
    weights = {k: v.detach().numpy().astype(np.float64) for k, v in model.body.named_parameters()}
    start = begin - length
    outputs, caches = transformer(x, weights, spec, start)
    at = np.arange(length - WINDOW, length)
    state = {"cached_position": np.array([WINDOW + (begin - WINDOW) % (2 * WINDOW)])}
    for layer, cache in enumerate(caches):
        for what, every in zip(("key", "value"), cache, strict=True):
            ring = np.empty_like(every[:, :WINDOW])
            ring[:, (start + at) % WINDOW] = every[:, at]
            state[f"past_key_values.{layer}.{what}"] = ring[None].astype(np.float32)
    return state, frames[:, length:], outputs[None, length:]


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_of_a_hundred_million_frames_goes_on(kind, graph):
    """At every legal position, and over the wrap, as if each frame's number were exact."""
    model, loop = model_of(kind), loop_of(kind, **GRAPHS[graph])
    legal = set()
    for begin in range(10**8, 10**8 + 2 * WINDOW):
        state, frames, expected = far_ahead(model, begin, 8, 3 * WINDOW)
        legal |= set(state["cached_position"])
        outputs, after = loop.run(frames, cut(graph, [4, 1, 4]), state)
        assert relative_error(outputs, expected) <= LIMIT
        assert after["cached_position"][0] < 3 * WINDOW
    assert legal == set(range(WINDOW, 3 * WINDOW))


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_period_of_one_window_is_seen(kind, graph):
    """A position that falls back by W keeps every slot, but neither angles nor phases."""
    broken = onnx.ModelProto()
    broken.CopyFrom(graph_of(kind, **GRAPHS[graph]))
    for item in broken.graph.initializer:
        if item.name in ("wrap", "period"):
            half = onnx.numpy_helper.to_array(item) - WINDOW
            item.CopyFrom(onnx.numpy_helper.from_array(half, item.name))
    model = model_of(kind)
    frames = frames_of(model, 1, 30)
    outputs, _ = Loop(broken).run(frames, [1] * 30)
    error = relative_error(outputs, whole(model, frames))
    assert error <= LIMIT if kind in ("none", "relative") else error > 0.01


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_declares_the_period(kind, graph):
    table = json.loads(metadata(graph_of(kind, **GRAPHS[graph]))[METADATA_KEY])
    contract = Contract.from_json(table, where="test")
    (position,) = (state for state in contract.states if state.dtype == "int64")
    assert contract.period == (6 if kind in ABSOLUTE else None)
    assert ("repeat every 2 W = 6 frames" in position.meaning) == (kind in ABSOLUTE)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_waits_for_every_reader(kind, graph):
    made = graph_of(kind, **GRAPHS[graph])
    for state in Contract.from_metadata(metadata(made), where="t").states:
        nodes = [node for node in made.graph.node if node.op_type != "Shape"]
        (writer,) = (node for node in nodes if state.output in node.output)
        for reader in (node for node in nodes if state.input in node.input):
            after = reachable(made, reader.output)
            assert reader == writer or after & set(writer.input), f"{reader.name}, {state.input}"
