"""Every graph says, however it is cut, what PyTorch says of the whole sequence."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from export.small import (
    FRAME,
    LOGITS,
    SPECS,
    VALUE,
    WINDOWED,
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

from edgeseq.contract import Contract, Frame
from edgeseq.errors import UsageError
from edgeseq.export import build_graph, recurrent
from edgeseq.export.recent import Recent
from edgeseq.families import POSITIONS
from edgeseq.models import SequenceModel
from edgeseq.models.hybrid import HybridSpec
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_recipe

LIMIT = 1e-5
SLIDING = ("encoder", "vit", "cnn")
FAMILIES = ("lstm", "lstm-projected", "gru", "hybrid", "transformer", *SLIDING)
OUTPUTS = {"logits": LOGITS, "value": VALUE}


def window_of(name):
    return getattr(SPECS[name], "window", 7)


@pytest.mark.parametrize(("output", "streams"), [("logits", 3), ("value", 1)])
@pytest.mark.parametrize("name", SPECS)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_any_cut_is_the_whole(name, output, streams, data):
    window = window_of(name)
    edge = st.sampled_from(sorted({1, max(1, window - 1), window, window + 1, 3 * window + 2}))
    cuts = data.draw(st.lists(edge | st.integers(1, 4 * window), min_size=1, max_size=9))
    model = model_of(name, OUTPUTS[output])
    frames = frames_of(model, streams, sum(cuts), seed=data.draw(st.integers(0, 99)))
    outputs, _ = loop_of(name, OUTPUTS[output]).run(frames, cuts)
    assert relative_error(outputs, whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("family", FAMILIES)
def test_any_weights(family, seed):
    model = model_of(family, LOGITS, seed)
    frames = frames_of(model, 2, 60, seed)
    outputs, _ = loop_of(family, LOGITS, seed).run(frames, [1] * 20 + [9, 31])
    assert relative_error(outputs, whole(model, frames)) <= LIMIT


@pytest.mark.parametrize(("output", "streams"), [("logits", 3), ("value", 1)])
@pytest.mark.parametrize("name", WINDOWED)
def test_newest_step_is_the_whole(name, output, streams):
    model = model_of(name, OUTPUTS[output])
    length = 7 * window_of(name) + 3
    frames = frames_of(model, streams, length)
    outputs, _ = loop_of(name, OUTPUTS[output], newest=True, frames=1).run(frames, [1] * length)
    assert relative_error(outputs, whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", SPECS)
def test_sequence_is_the_whole(name, output):
    model = model_of(name, OUTPUTS[output])
    loop = loop_of(name, OUTPUTS[output], form="sequence")
    assert loop.contract.states == ()
    for streams, length in ((1, 1), (3, window_of(name)), (2, 4 * window_of(name) + 1)):
        frames = frames_of(model, streams, length)
        assert relative_error(loop.run(frames, [length])[0], whole(model, frames)) <= LIMIT


@pytest.mark.parametrize(("streams", "length"), [(1, 1), (3, 1), (1, 6), (2, 21)])
@pytest.mark.parametrize("form", ["step", "sequence"])
@pytest.mark.parametrize("family", FAMILIES)
def test_static_is_the_whole(family, form, streams, length):
    model = model_of(family)
    calls = 12 if form == "step" else 1
    frames = frames_of(model, streams, calls * length)
    loop = loop_of(family, form=form, streams=streams, frames=length)
    outputs, _ = loop.run(frames, [length] * calls)
    assert relative_error(outputs, whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("name", SPECS)
def test_a_chunk_far_longer_than_the_window(name):
    model = model_of(name)
    frames = frames_of(model, 2, 1500)
    loop = loop_of(name)
    outputs, state = loop.run(frames, [1500])
    assert relative_error(outputs, whole(model, frames)) <= LIMIT
    more = frames_of(model, 2, 5, seed=1)
    outputs, _ = loop.run(more, [2, 3], state)
    together = whole(model, np.concatenate([frames, more], axis=1))[:, 1500:]
    assert relative_error(outputs, together) <= LIMIT


@pytest.mark.parametrize("name", SPECS)
def test_state_is_the_models_own(name):
    """After any number of frames, also in the middle of a turn of the ring."""
    model, loop = model_of(name), loop_of(name)
    window = window_of(name)
    for length in (1, window, 3 * window - 1, 3 * window, 5 * window + 1):
        frames = frames_of(model, 2, length)
        _, state = loop.run(frames, [length])
        with torch.inference_mode():
            expected = model.final_state(torch.from_numpy(frames))
        assert state.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(state[key], value.numpy(), atol=2e-5, err_msg=key)


@pytest.mark.parametrize("name", WINDOWED)
def test_chunks_and_single_frames_share_one_state(name):
    """A stream may change between the two graphs of a bundle in its middle."""
    model = model_of(name)
    chunk, step = loop_of(name), loop_of(name, newest=True, frames=1)
    length = 4 * window_of(name)
    frames = frames_of(model, 2, 3 * length)
    state, outputs = chunk.fresh(2), []
    for loop, cuts in ((chunk, [length]), (step, [1] * length), (chunk, [length])):
        part = frames[:, len(outputs) * length :][:, :length]
        one, state = loop.run(part, cuts, state)
        outputs.append(one)
    assert relative_error(np.concatenate(outputs, axis=1), whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("name", SLIDING)
def test_a_window_is_recomputed_from_the_frames_alone(name):
    """One frame a call and chunks share the frames, and `recompute` is the same graph."""
    model, window = model_of(name), window_of(name)
    step, chunk = loop_of(name, newest=True, frames=1), loop_of(name, form="recompute")
    assert chunk.contract.form == "recompute"
    (state,) = step.contract.states
    assert (step.contract.states, state.shape) == (
        chunk.contract.states,
        ("N", str(window - 1), "4"),
    )
    frames = frames_of(model, 3, 5 * window)
    first, held = step.run(frames[:, : 2 * window], [1] * 2 * window)
    rest, _ = chunk.run(frames[:, 2 * window :], [window, 2 * window], held)
    assert relative_error(np.concatenate([first, rest], axis=1), whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("name", SLIDING)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_window_that_is_one_off_is_seen(name, by, monkeypatch):
    """The check above is worth something: windows cut one frame early or late fail."""
    cut = Recent.windows

    def shifted(recent, x):
        graph = recent.graph
        start, end = ([0], [-1]) if by < 0 else ([1], [np.iinfo(np.int64).max])
        edge = [0, 1, 0, 0, 0, 0] if by < 0 else [0, 0, 0, 0, 1, 0]
        x = graph.op("Pad", x, graph.constant(edge))
        return cut(recent, graph.op("Slice", x, *map(graph.constant, (start, end, [1]))))

    monkeypatch.setattr(Recent, "windows", shifted)
    model = model_of(name)
    graph = build_graph(model, FRAME, LOGITS, producer="test", recipe="test")
    frames = frames_of(model, 2, 30)
    outputs, _ = Loop(graph).run(frames, [30])
    assert relative_error(outputs, whole(model, frames)) > 0.01


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("name", WINDOWED)
def test_position_is_bounded_and_outputs_stay_right(name, newest):
    model, window = model_of(name), window_of(name)
    length = 10 * window
    frames = frames_of(model, 2, length)
    loop = loop_of(name, newest=True, frames=1) if newest else loop_of(name)
    state, positions, outputs = loop.fresh(2), [], []
    for t in range(length):
        one, state = loop.call(frames[:, t : t + 1], state)
        outputs.append(one)
        positions.append(state["cached_position"].tolist())
    counted = [t if t < 3 * window else window + (t - window) % (2 * window) for t in range(1, length + 1)]  # fmt: skip # noqa: E501
    assert positions == [[count, count] for count in counted]
    assert max(counted) == 3 * window - 1
    assert relative_error(np.concatenate(outputs, axis=1), whole(model, frames)) <= LIMIT


@pytest.mark.parametrize("newest", [False, True])
def test_streams_at_different_positions_share_a_call(newest):
    model = model_of("transformer")
    loop = loop_of("transformer", newest=True, frames=1) if newest else loop_of("transformer")
    frames = frames_of(model, 2, 50)
    _, state = loop.run(frames[:, :29], [1] * 29)
    for value in state.values():
        value[1] = 0  # the second stream starts anew
    outputs, state = loop.run(frames[:, 29:], [1] * 21, state)
    expected = np.concatenate([whole(model, frames[:1])[:, 29:], whole(model, frames[1:, 29:])])
    assert relative_error(outputs, expected) <= LIMIT
    assert state["cached_position"].tolist() == [8 + (50 - 8) % 16, 21]


def test_an_old_ring_is_never_seen_again():
    """After a reset of the position alone, what the ring held has no influence."""
    model, loop = model_of("transformer"), loop_of("transformer")
    frames = frames_of(model, 1, 12)
    state = loop.fresh(1)
    for key in state:
        if key != "cached_position":
            state[key][...] = 1e6
    outputs, _ = loop.run(frames, [1, 4, 7], state)
    assert relative_error(outputs, whole(model, frames)) <= LIMIT


def bound(loop, frames, cuts):
    """Run `(N, T, F)` in chunks of `cuts` with one memory for a state before and after a call."""
    contract = loop.contract
    assert all(state.in_place for state in contract.states)
    state = loop.fresh(len(frames))
    memory = {key: ort.OrtValue.ortvalue_from_numpy(array) for key, array in state.items()}
    outputs = []
    for part in map(np.ascontiguousarray, np.split(frames, np.cumsum(cuts)[:-1], axis=1)):
        binding = loop.session.io_binding()
        binding.bind_cpu_input("frames", part)
        binding.bind_output("logits")
        for item in contract.states:
            binding.bind_ortvalue_input(item.input, memory[item.input])
            binding.bind_ortvalue_output(item.output, memory[item.input])
        loop.session.run_with_iobinding(binding)
        outputs.append(binding.copy_outputs_to_cpu()[0])
    return np.concatenate(outputs, axis=1), state  # which is the memory itself


def assert_in_place_is_exact(loop, frames, cuts):
    """Compare with copies of the state, bit for bit."""
    expected, state = loop.run(frames, cuts)
    outputs, memory = bound(loop, frames, cuts)
    np.testing.assert_array_equal(outputs, expected)
    for key, array in state.items():
        np.testing.assert_array_equal(memory[key], array, err_msg=key)


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("name", SPECS)
@settings(deadline=None, max_examples=5)
@given(data=st.data())
def test_in_place_is_exact_for_any_cut(name, streams, data):
    window = window_of(name)
    edge = st.sampled_from(sorted({1, max(1, window - 1), window, window + 1, 3 * window + 2}))
    cuts = data.draw(st.lists(edge | st.integers(1, 4 * window), min_size=3, max_size=12))
    assert_in_place_is_exact(loop_of(name), frames_of(model_of(name), streams, sum(cuts)), cuts)


@pytest.mark.parametrize(("streams", "length"), [(1, 1), (3, 1), (1, 6), (2, 21)])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_place_is_exact_for_fixed_sizes(family, streams, length):
    frames = frames_of(model_of(family), streams, 20 * length)
    assert_in_place_is_exact(loop_of(family, streams=streams, frames=length), frames, [length] * 20)


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("name", WINDOWED)
def test_in_place_is_exact_for_the_newest_step(name, streams):
    length = 7 * window_of(name) + 3
    frames = frames_of(model_of(name), streams, length)
    assert_in_place_is_exact(loop_of(name, newest=True, frames=1), frames, [1] * length)


@pytest.mark.parametrize("recipe", ["int8-dynamic", "int8-per-tensor"])
@pytest.mark.parametrize(("name", "streams"), [(n, s) for n in SPECS for s in (1, 3)])
def test_in_place_is_exact_in_int8(name, streams, recipe, tmp_path):
    """Other nodes, which also read all of a state before they write the next.

    `DynamicQuantizeLSTM` is a kernel of its own, and the GRU's products and gates are many.
    """
    onnx.save(graph_of(name), tmp_path / "fp32.onnx")
    quantize_file(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", load_recipe(recipe))
    graph = onnx.load(tmp_path / "int8.onnx")
    assert any("Quantize" in node.op_type for node in graph.graph.node)
    cuts = [1, 1, 5, 1, 13, 2, 30]
    assert_in_place_is_exact(Loop(graph), frames_of(model_of(name), streams, sum(cuts)), cuts)


@pytest.mark.parametrize("frames", ["T", 1])
@pytest.mark.parametrize("name", FAMILIES)
def test_in_place_is_exact_in_parts(name, frames, tmp_path):
    """Where an LSTM or a GRU is taken apart, a dozen nodes read its states, and one writes each."""
    onnx.save(graph_of(name, frames=frames), tmp_path / "fp32.onnx")
    quantize_file(tmp_path / "fp32.onnx", tmp_path / "mixed.onnx", load_recipe("mixed"))
    graph = onnx.load(tmp_path / "mixed.onnx")
    assert not {"LSTM", "GRU"} & {node.op_type for node in graph.graph.node}
    cuts = [1] * 40 if frames == 1 else [1, 1, 5, 1, 13, 2, 30]
    assert_in_place_is_exact(Loop(graph), frames_of(model_of(name), 3, sum(cuts)), cuts)


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_are_embedded_in_the_graph(name):
    letters = tuple("abcdefg")
    frame = Frame(("letter",), ("token",), 10.0, vocabulary=letters)
    model = SequenceModel(SPECS[name], 1, 3, vocabulary=len(letters)).eval()
    frames = np.random.default_rng(0).integers(0, 7, (2, 40, 1)).astype(np.float32)
    cuts = {"T": [1, 13, 26], 1: [1] * 40}
    for size in cuts:
        graph = build_graph(
            model, frame, LOGITS, frames=size, newest=size == 1, producer="test", recipe="test"
        )
        outputs, _ = Loop(graph).run(frames, cuts[size])
        assert relative_error(outputs, whole(model, frames)) < 1e-5
        assert (
            Contract.from_metadata(
                {p.key: p.value for p in graph.metadata_props}, where="test"
            ).frame.vocabulary
            == letters
        )


@pytest.mark.parametrize("family", ["lstm", "gru"])
def test_wrong_gates_are_seen(family, monkeypatch):
    """The check above is worth something: PyTorch's order of gates in ONNX's operator fails."""
    kind, letters, order = recurrent._KINDS[family.upper()]
    monkeypatch.setitem(recurrent._KINDS, family.upper(), (kind, letters, sorted(order)))
    model = model_of(family)
    graph = build_graph(model, FRAME, LOGITS, producer="test", recipe="test")
    frames = frames_of(model, 1, 30)
    outputs, _ = Loop(graph).run(frames, [30])
    assert relative_error(outputs, whole(model, frames)) > 0.01


@pytest.mark.parametrize("kind", POSITIONS)
def test_positions_are_known_time_first_too(kind):
    """As the hybrid's graph has its frames."""
    spec = HybridSpec(8, 6, layers=1, heads=2, window=3, positions=kind)
    torch.manual_seed(0)
    model = SequenceModel(spec, FRAME.size, 3).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    frames = frames_of(model, 3, 20)
    for cuts, options in (
        ([1, 7, 12], {}),
        ([1] * 20, {"frames": 1, "newest": True}),
        ([20], {"form": "sequence"}),
    ):
        graph = build_graph(model, FRAME, LOGITS, producer="test", recipe="test", **options)
        outputs, _ = Loop(graph).run(frames, cuts)
        assert relative_error(outputs, whole(model, frames)) < LIMIT


def test_newest_step_takes_one_frame_only():
    with pytest.raises(UsageError, match="takes 1 frame a call, not 4"):
        graph_of("transformer", newest=True, frames=4)
