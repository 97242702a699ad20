"""What is read first is read once, both ways, and asked by every later frame of its own stream."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from export.small import (
    Loop,
    frames_of,
    graph_of,
    loop_of,
    model_of,
    relative_error,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from models.plain import encoder_decoder

from edgeseq.errors import ConfigError, UsageError
from edgeseq.graph.weights import all_graphs
from edgeseq.models.encoder_decoder import EncoderDecoder, EncoderDecoderSpec

NAME, LIMIT = "encoder-decoder", 1e-5
SOURCE, WINDOW = 5, 8
"""Of the small model."""
STEP = {"newest": True, "frames": 1}


def spec_of(**sizes):
    usual = {"width": 8, "feed_forward": 6, "source": 4, "heads": 2, "window": 6}
    return EncoderDecoderSpec(**{**usual, **sizes})


def made(spec, seed=0):
    torch.manual_seed(seed)
    return EncoderDecoder(spec, 4, 3).double().eval()


def plain(model, frames):
    """Return what the definition says of raw frames `(N, T, F)`."""
    weights = {name: array.double().numpy() for name, array in model.body.state_dict().items()}
    scaled = (frames - model.input_mean.numpy()) / model.input_std.numpy()
    return np.stack([encoder_decoder(stream, weights, model.spec) for stream in scaled])


def caches(state):
    return {name: array for name, array in state.items() if name.startswith("cached_cross")}


@pytest.mark.parametrize(
    "spec",
    [spec_of(), spec_of(source=6, encoder_layers=2, layers=1), spec_of(source=1, window=1)],
    ids=["usual", "the source is a window", "one frame"],
)
def test_it_is_its_definition(spec):
    model = made(spec)
    weights = {name: array.numpy() for name, array in model.state_dict().items()}
    for length in (1, spec.source - 1, spec.source, spec.source + 1, 4 * spec.window + 3):
        x = np.random.default_rng(length).normal(0, 2, (2, max(1, length), 4))
        with torch.inference_mode():
            outputs = model(torch.from_numpy(x)).numpy()
        for stream in range(2):  # cos and sin are float32 on purpose: the graph has them so
            expected = encoder_decoder(x[stream], weights, spec)
            np.testing.assert_allclose(outputs[stream], expected, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_any_cut_of_the_graph_is_the_definition(data):
    """With a cut before, at and after the last frame of the source."""
    first = data.draw(st.integers(1, SOURCE + 1))
    cuts = [first, *data.draw(st.lists(st.integers(1, 2 * WINDOW), min_size=1, max_size=4))]
    frames = frames_of(model_of(NAME), 2, sum(cuts))
    outputs, _ = loop_of(NAME).run(frames, cuts)
    assert relative_error(outputs, plain(model_of(NAME), frames)) < LIMIT


@pytest.mark.parametrize("cut", [[SOURCE - 1, 1], [SOURCE], [SOURCE - 1, 2], [1] * (SOURCE + 1)])
def test_the_first_frame_that_sees_the_source_is_its_last(cut):
    model, frames = model_of(NAME), frames_of(model_of(NAME), 1, sum(cut))
    outputs, _ = loop_of(NAME).run(frames, cut)
    weights, deaf = dict(model.body.state_dict()), made(model.spec).float()
    said = [name for name in weights if name.endswith(".kv.weight")]
    deaf.load_state_dict(weights | {name: 0 * weights[name] for name in said})
    with torch.inference_mode():
        alone = deaf(model.normalised(torch.from_numpy(frames))).numpy()
    differs = np.abs(outputs - alone).max(axis=(0, 2)) > 1e-3
    assert differs.tolist() == [t >= SOURCE - 1 for t in range(sum(cut))]


def test_outputs_are_causal_and_the_source_never_ends():
    model = made(spec_of())
    x = torch.randn(1, 34, 4, dtype=torch.double)
    for at in (0, 3, 20):
        changed = x.clone()
        changed[:, at] += 1
        with torch.inference_mode():
            moved = (model(changed) - model(x)).abs().amax(dim=(0, 2)).numpy()
        reached = np.flatnonzero(moved > 1e-12)
        assert reached[0] == at, "the past saw the future"
        # two blocks of a window of 6, or for ever
        assert reached[-1] == (at + 2 * 5 if at >= 4 else 33)


@pytest.mark.parametrize("options", [{}, STEP], ids=["any", "step"])
def test_the_cache_is_filled_once_and_then_only_read(options):
    """Also where the position falls back to W, bit for bit, until a reset."""
    loop, frames = loop_of(NAME, **options), frames_of(model_of(NAME), 2, 7 * WINDOW)
    state, seen = loop.fresh(2), []
    for t in range(7 * WINDOW):
        _, state = loop.call(frames[:, t : t + 1], state)
        seen.append(caches(state) | {"cached_source": state["cached_source"]})
    assert len(caches(state)) == 4
    for name, array in seen[-1].items():
        for t, kept in enumerate(seen[SOURCE - 1 :]):
            np.testing.assert_array_equal(kept[name], array, err_msg=f"{name} at {t}")
    assert all(not array.any() for kept in seen[: SOURCE - 1] for array in caches(kept).values())


def ages_of(loop, frames, cuts, resets):
    """Run streams in chunks, each reset before given chunks; return outputs, state and ages."""
    state, age, outputs = loop.fresh(len(frames)), np.zeros(len(frames), int), []
    for number, size in enumerate(cuts):
        for row in resets.get(number, ()):
            age[row] = 0
            for array in state.values():
                array[row] = 0
        part = np.stack([frames[row, start : start + size] for row, start in enumerate(age)])
        one, state = loop.call(part, state)
        outputs.append((age.copy(), one))
        age += size
    return outputs, state


RESETS = {1: [1], 2: [3], 3: [2], 5: [0, 3], 9: [1]}


@pytest.mark.parametrize(
    ("options", "cuts"),
    [({}, [3, 1, 2, 7, 4, 5, 1, 1, 9, 2, 20]), (STEP, [1] * 40)],
    ids=["any", "step"],
)
def test_streams_that_reset_at_different_times_are_streams_alone(options, cuts):
    """Some are still reading, some complete their source, some have it: all in one call."""
    model, loop = model_of(NAME), loop_of(NAME, **options)
    frames = frames_of(model, 4, sum(cuts))
    alone = whole(model, frames)
    for age, outputs in ages_of(loop, frames, cuts, RESETS)[0]:
        size = outputs.shape[1]
        expected = np.stack([alone[row, start : start + size] for row, start in enumerate(age)])
        np.testing.assert_allclose(outputs, expected, atol=LIMIT * np.abs(alone).max())


@pytest.mark.parametrize("at", [1, SOURCE - 2, SOURCE - 1, SOURCE])
def test_a_snapshot_in_the_middle_of_the_source_goes_on(at):
    frames = frames_of(model_of(NAME), 2, 20)
    chunk, step = loop_of(NAME), loop_of(NAME, **STEP)
    first, state = step.run(frames[:, :at], [1] * at)
    saved = {name: array.copy() for name, array in state.items()}
    step.run(frames_of(model_of(NAME), 2, 9, seed=5), [1] * 9, state)  # someone else's
    rest, _ = chunk.run(frames[:, at:], [20 - at], saved)
    outputs = np.concatenate([first, rest], axis=1)
    assert relative_error(outputs, whole(model_of(NAME), frames)) < LIMIT


@pytest.mark.parametrize("cuts", [[12], [2, 3, 7], [1] * 12])
def test_a_frame_that_is_no_number_harms_no_other_stream(cuts):
    frames = frames_of(model_of(NAME), 2, 12)
    expected, _ = loop_of(NAME).run(frames, cuts)
    frames[1, SOURCE - 2] = np.nan
    outputs, _ = loop_of(NAME).run(frames, cuts)
    np.testing.assert_array_equal(outputs[0], expected[0])
    assert np.isnan(outputs[1, -1]).all(), "it is in the source"


@pytest.mark.parametrize("options", [{}, STEP], ids=["any", "step"])
def test_the_encoder_runs_in_calls_that_complete_a_source_and_in_no_other(options, tmp_path):
    graph = graph_of(NAME, **options)
    frames = frames_of(model_of(NAME), 3, 30)
    settings = ort.SessionOptions()
    settings.enable_profiling, settings.profile_file_prefix = True, str(tmp_path / "p")
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    loop = Loop(graph)
    loop.session = ort.InferenceSession(graph.SerializeToString(), settings)
    ages_of(loop, frames, [1] * 30, {2: [1], 11: [2]})  # complete in calls 4, 6 and 15
    profile = json.loads(Path(loop.session.end_profiling()).read_text())
    calls = [event["name"] for event in profile]
    runs = {
        name: calls.count(f"{name}_kernel_time")
        for name in {event.removesuffix("_kernel_time") for event in calls}
        if name.startswith("source_complete_MatMul")
    }
    assert len(runs) == 4 + 2 + 2, "products of a block, of its attention, of either cross"
    assert set(runs.values()) == {3}, "of 30 calls; two streams complete in one"


def broken(**change):
    """Return the graph with one thing in its branches made wrong."""
    graph = onnx.ModelProto()
    graph.CopyFrom(graph_of(NAME))
    for branch in list(all_graphs(graph.graph))[1:]:
        for node in branch.node:
            if change.get("late") and node.op_type == "Equal":
                held = next(item for item in branch.initializer if item.name == node.input[1])
                held.CopyFrom(onnx.numpy_helper.from_array(np.array([SOURCE]), held.name))
            if change.get("leak") and node.op_type == "ScatterND" and "cross" in node.input[0]:
                if not any(item.name == "first_row" for item in branch.initializer):
                    first = onnx.numpy_helper.from_array(np.array([[0]]), "first_row")
                    branch.initializer.append(first)
                node.input[1] = "first_row"
    return Loop(graph)


@pytest.mark.parametrize("fault", ["late", "leak"])
def test_faults_are_seen(fault):
    """An encoder one frame late, and the source of one stream in the cache of another."""
    frames, cuts = frames_of(model_of(NAME), 2, 20), [1] * 20
    frames[1, :2] = frames[0, :2]
    alone = whole(model_of(NAME), frames)
    for loop, right in ((loop_of(NAME), True), (broken(**{fault: True}), False)):
        found = ages_of(loop, frames, cuts, {2: [1]})[0]
        wrong = max(
            np.abs(outputs[row, 0] - alone[row, start]).max()
            for ages, outputs in found
            for row, start in enumerate(ages)
        )
        assert bool(wrong < LIMIT * np.abs(alone).max()) == right


@pytest.mark.parametrize(
    "sizes",
    [{}, {"width": 12, "encoder_layers": 3}, {"layers": 4, "source": 1}, {"feed_forward": 31}],
)
def test_parameters_are_counted_right(sizes):
    model = EncoderDecoder(spec_of(**sizes), 5, 7)
    assert spec_of(**sizes).parameters(5, 7) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("parameters", [1000, 3000, 10_000, 50_000, 1_000_000, 5_000_000])
def test_sized_fills_the_budget(parameters):
    spec = EncoderDecoderSpec.sized(parameters, inputs=24, outputs=7, context=32)
    assert 0.9 * parameters < spec.parameters(24, 7) <= parameters
    assert (spec.source, spec.window, spec.encoder_layers) == (8, 32, 1)
    assert (spec.layers, spec.heads) == ((1, 2) if parameters < 2000 else (2, 4))
    if parameters >= 10_000:
        assert 2.5 <= spec.feed_forward / spec.width <= 7


@pytest.mark.parametrize("context", [1, 3, 64])
def test_a_quarter_of_what_is_seen_is_the_source(context):
    spec = EncoderDecoderSpec.sized(20_000, inputs=4, outputs=3, context=context)
    assert (spec.source, spec.window) == (max(1, context // 4), context)


def test_too_few_parameters_says_how_many_would_do():
    with pytest.raises(UsageError, match=r"an encoder-decoder with 24 inputs .* cannot") as caught:
        EncoderDecoderSpec.sized(100, inputs=24, outputs=7)
    enough = int(str(caught.value).rpartition(" ")[2])
    assert EncoderDecoderSpec.sized(enough, inputs=24, outputs=7).feed_forward == 1
    with pytest.raises(UsageError):
        EncoderDecoderSpec.sized(enough - 1, inputs=24, outputs=7)


@pytest.mark.parametrize(
    ("sizes", "mistakes"),
    [
        ({"width": 6}, ("width: 6 is not a multiple of 2 x heads = 4",)),
        ({"source": 7}, ("source: 7 is more than window = 6",)),
        ({"source": 0, "heads": 0}, ("source: 0 is not at least 1", "heads: 0 is not at least 1")),
        ({"dropout": 1.0}, ("dropout: 1.0 is not at least 0 and below 1",)),
    ],
)
def test_sizes_that_make_no_model_are_named(sizes, mistakes):
    with pytest.raises(ConfigError) as caught:
        spec_of(**sizes)
    assert caught.value.mistakes == mistakes
