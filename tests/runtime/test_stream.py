"""`StreamSession` against PyTorch's whole-sequence forward, on tiny models of random weights."""

import threading
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseq.contract import Frame, Output
from edgeseq.errors import StreamError
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.runtime import StreamModel, StreamSession, buffers, predict

WINDOW = 8
FRAME = Frame(channels=("ax", "ay", "az"), units=("g",) * 3, sample_rate_hz=50)
OUTPUT = Output(kind="logits", labels=("rest", "walk", "run", "fall"))
SPECS = {
    "lstm": LSTMSpec(hidden=8),
    "gru": GRUSpec(hidden=8),
    "transformer": TransformerSpec(width=16, feed_forward=16, heads=2, window=WINDOW),
    "cnn": CNNSpec(channels=6, window=WINDOW),
    "encoder-decoder": EncoderDecoderSpec(16, 16, source=5, heads=2, window=WINDOW),
}
FRAMES = 10 * WINDOW
TIGHT = {"rtol": 0, "atol": 3e-6}


@dataclass
class Case:
    """A model in PyTorch and as files, and what PyTorch says of some streams."""

    any: StreamModel
    step: StreamModel
    frames: np.ndarray  # (3, T, F)
    outputs: np.ndarray  # (3, T, C)
    final_state: dict


@pytest.fixture(scope="module", params=SPECS)
def case(request, tmp_path_factory):
    torch.manual_seed(1)
    model = SequenceModel(SPECS[request.param], 3, 4).eval()
    model.input_mean += torch.tensor([0.5, -1, 9.8])
    model.input_std *= 2
    frames = torch.randn(3, FRAMES, 3) * 2 + model.input_mean
    with torch.inference_mode():
        outputs, state = model(frames).numpy(), model.final_state(frames)
    folder = tmp_path_factory.mktemp(request.param)
    loaded = {}
    for name, kind in {"any": {}, "step": {"frames": 1, "newest": True}}.items():
        graph = build_graph(model, FRAME, OUTPUT, producer="test", recipe="test", **kind)
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
        loaded[name] = StreamModel.load(folder / f"{name}.onnx")
    state = {name: tensor.numpy() for name, tensor in state.items()}
    return Case(loaded["any"], loaded["step"], frames.numpy(), outputs, state)


def stepped(session, frames):
    return np.stack([session.step(frame) for frame in frames])


def assert_final(case, state, streams=1):
    for name, array in state.items():
        expected = case.final_state[name]
        axis = 1 if name[0] in "hc" and not name.startswith("cached") else 0
        wanted = np.take(expected, range(streams), axis=axis)
        np.testing.assert_allclose(array, wanted, **TIGHT)


@pytest.mark.parametrize("graph", ["any", "step"])
def test_frame_by_frame_is_the_whole_sequence(case, graph):
    with StreamSession(getattr(case, graph)) as session:
        outputs = stepped(session, case.frames[0])
        np.testing.assert_allclose(outputs, case.outputs[0], **TIGHT)
        assert_final(case, session.state)
    assert outputs.dtype == np.float32
    assert outputs.shape == (FRAMES, 4)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 3 * WINDOW), min_size=1, max_size=12), streams=st.integers(1, 3)
)
def test_any_chunking_is_the_whole_sequence(case, cuts, streams):
    frames = case.frames[0] if streams == 1 else case.frames[:streams]
    outputs, start = [], 0
    with StreamSession(case.any, streams=streams) as session:
        for size in [*cuts, FRAMES]:
            block = frames[..., start : start + size, :]
            if block.shape[-2]:
                outputs.append(session.run(block))
            start += size
        assert_final(case, session.state, streams)
    expected = case.outputs[0] if streams == 1 else case.outputs[:streams]
    np.testing.assert_allclose(np.concatenate(outputs, axis=-2), expected, **TIGHT)


@pytest.mark.parametrize("size", [1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 3])
def test_chunks_around_the_window(case, size):
    with StreamSession(case.any) as session:
        blocks = np.split(case.frames[0], range(size, FRAMES, size))
        outputs = np.concatenate([session.run(block) for block in blocks])
    np.testing.assert_allclose(outputs, case.outputs[0], **TIGHT)


@pytest.mark.parametrize("graph", ["any", "step"])
def test_rows_reset_at_different_times_are_streams_alone(case, graph):
    resets = {5: [1], WINDOW: [0, 2], 3 * WINDOW + 1: [1], 4 * WINDOW: [2]}
    ages = np.zeros(3, int)
    with StreamSession(getattr(case, graph), streams=3) as session:
        for index in range(7 * WINDOW):
            rows = resets.get(index, [])
            if rows:
                session.reset(rows)
                ages[rows] = 0
            outputs = session.step(case.frames[range(3), ages])
            np.testing.assert_allclose(outputs, case.outputs[range(3), ages], **TIGHT)
            ages += 1


def test_reset_is_fresh_bit_for_bit(case):
    with StreamSession(case.step) as session:
        initial, first = session.state, stepped(session, case.frames[0])
        session.reset()
        for name, array in session.state.items():
            np.testing.assert_array_equal(array, initial[name])
        np.testing.assert_array_equal(stepped(session, case.frames[0]), first)


def test_reset_of_one_row_leaves_the_others(case):
    with StreamSession(case.any, streams=3) as session:
        session.run(case.frames[:, :5].copy())
        before = session.state
        session.reset(1)
        for state in case.any.contract.states:
            old, new = (
                np.moveaxis(s[state.input], state.stream_axis, 0) for s in (before, session.state)
            )
            np.testing.assert_array_equal(new[[0, 2]], old[[0, 2]])
            assert not new[1].any()


@pytest.mark.parametrize("middle", [1, 6, 2 * WINDOW + 1])
@pytest.mark.parametrize("graph", ["any", "step"])
def test_a_restored_stream_was_never_interrupted(case, graph, middle):
    model = getattr(case, graph)
    with StreamSession(model) as whole:
        expected = stepped(whole, case.frames[0])
    with StreamSession(model) as session, StreamSession(model) as other:
        stepped(session, case.frames[0][:middle])
        saved = session.state
        kept = {name: array.copy() for name, array in saved.items()}
        stepped(session, case.frames[1])  # disturbs the session, not what was saved
        for name, array in saved.items():
            np.testing.assert_array_equal(array, kept[name])
        for restored in (session, other):
            restored.state = saved
            again = stepped(restored, case.frames[0][middle:])
            np.testing.assert_array_equal(again, expected[middle:])
            for name, array in saved.items():
                np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize("case", ["transformer"], indirect=True)
def test_the_position_stays_bounded(case):
    seen = []
    with StreamSession(case.step) as session:
        for frame in np.concatenate([case.frames[0]] * 2):
            session.step(frame)
            seen.append(int(session.state["cached_position"][0]))
    assert max(seen) == 3 * WINDOW - 1
    assert seen[: 3 * WINDOW] == [*range(1, 3 * WINDOW), WINDOW]
    assert [t % (2 * WINDOW) for t in seen] == [t % (2 * WINDOW) for t in range(1, len(seen) + 1)]


@pytest.mark.parametrize("graph", ["any", "step"])
def test_states_in_place_give_what_two_buffers_give(case, graph):
    model = getattr(case, graph)
    state = {s.input: np.zeros(s.sized(1), s.dtype) for s in model.contract.states}
    names = [model.contract.output.name, *(s.output for s in model.contract.states)]
    with StreamSession(model) as session:
        for frame in case.frames[0]:
            feeds = {model.contract.frame.name: frame[None, None], **state}
            outputs, *states = model.session.run(names, feeds)
            state = {s.input: a for s, a in zip(model.contract.states, states, strict=True)}
            np.testing.assert_array_equal(session.step(frame), outputs[0, 0])
            for name, array in session.state.items():
                np.testing.assert_array_equal(array, state[name])


@pytest.mark.parametrize("graph", ["any", "step"])
def test_one_buffer_a_state(case, graph):
    model = getattr(case, graph)
    with StreamSession(model) as session:
        session.step(case.frames[0, 0])
        assert session._states.turns == len(session._step_call._bindings) == 1


def test_other_providers_take_turns(case, monkeypatch):
    """Whatever the contract says: in place was only proven for the CPU's kernels."""
    placed = []

    def place(array, device, number):
        placed.append((device, array.shape, number))
        return SimpleNamespace(numpy=lambda: array, update_inplace=array.__setitem__)

    fake = SimpleNamespace(OrtValue=SimpleNamespace(ortvalue_from_numpy=place))
    monkeypatch.setattr(buffers, "require", lambda _name: fake)
    states = case.any.contract.states
    assert all(state.in_place for state in states)
    memory = buffers.StateMemory(states, 2, "cuda")
    assert placed == [("cuda", state.sized(2), 0) for state in states] * 2
    assert memory.turns == 2
    bound = {}
    binding = SimpleNamespace(
        bind_ortvalue_input=bound.__setitem__, bind_ortvalue_output=bound.__setitem__
    )
    memory.bind(binding, 0)
    assert all(bound[state.input] is not bound[state.output] for state in states)
    before = dict(bound)
    memory.bind(binding, 1)
    assert all(bound[state.input] is before[state.output] for state in states)


def test_states_that_may_not_be_in_place_take_turns(case):
    """Files of an earlier contract, and of others: two buffers, two bindings, the same answers."""
    states = tuple(replace(s, in_place=i > 0) for i, s in enumerate(case.any.contract.states))
    model = replace(case.any, contract=replace(case.any.contract, states=states))
    with StreamSession(model) as session:
        outputs = stepped(session, case.frames[0])
        assert session._states.turns == len(session._step_call._bindings) == 2
        shared = [a is b for a, b in zip(*session._states._arrays, strict=True)]
        assert shared == [state.in_place for state in states]
        saved = session.state
        session.reset()
        np.testing.assert_array_equal(stepped(session, case.frames[0]), outputs)
        for name, array in session.state.items():
            np.testing.assert_array_equal(array, saved[name])
    np.testing.assert_allclose(outputs, case.outputs[0], **TIGHT)


def test_threads_that_share_a_model_give_what_one_gives(case):
    def stream(index, into):
        with StreamSession(case.step) as session:
            for _ in range(5):
                session.reset()
                into[index] = stepped(session, case.frames[index % 3])

    serial, parallel = {}, {}
    for index in range(3):
        stream(index, serial)
    threads = [threading.Thread(target=stream, args=(i, parallel)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(6):
        np.testing.assert_array_equal(parallel[index], serial[index % 3])


def test_outputs_are_copies(case):
    with StreamSession(case.any) as session:
        first = session.step(case.frames[0, 0])
        kept = first.copy()
        session.step(case.frames[0, 1])
        np.testing.assert_array_equal(first, kept)


def test_frames_may_be_views(case):
    with StreamSession(case.any) as session:
        wide = np.repeat(case.frames[0], 2, axis=1)
        outputs = stepped(session, wide[:, ::2])
    np.testing.assert_allclose(outputs, case.outputs[0], **TIGHT)


def test_the_context_manager_leaves_the_model_open(case):
    with StreamSession(case.any) as session:
        session.step(case.frames[0, 0])
        assert session.contract is case.any.contract
    with StreamSession(case.any) as session:
        np.testing.assert_allclose(session.step(case.frames[0, 0]), case.outputs[0, 0], **TIGHT)


def test_many_lengths_of_chunks_do_not_pile_up(case):
    with StreamSession(case.any) as session:
        for size in range(1, 40):
            session.run(case.frames[0][:size])
        assert len(session._calls) <= 8
        session.reset()
        np.testing.assert_allclose(stepped(session, case.frames[0]), case.outputs[0], **TIGHT)


def test_predict_fills_up_fixed_groups(case):
    np.testing.assert_allclose(predict(case.any, case.frames), case.outputs, **TIGHT)


TAKES = "; this stream takes {} float32: 1 x [ax, ay, az]"
REFUSED = {
    "step a list": (1, "step", [1.0], "frame is a list; frames are NumPy arrays of float32"),
    "step float64": (
        1,
        "step",
        np.zeros(3),
        "frame of dtype float64; frames are float32: frame.astype(numpy.float32)",
    ),
    "step two values": (
        1,
        "step",
        np.zeros(2, np.float32),
        "frame of shape (2,)" + TAKES.format("(3,)"),
    ),
    "step one row": (
        2,
        "step",
        np.zeros(3, np.float32),
        "frame of shape (3,)" + TAKES.format("(2, 3)"),
    ),
    "step would spread": (
        2,
        "step",
        np.zeros((1, 3), np.float32),
        "frame of shape (1, 3)" + TAKES.format("(2, 3)"),
    ),
    "run float16": (
        1,
        "run",
        np.zeros((4, 3), np.float16),
        "frame of dtype float16; frames are float32: frame.astype(numpy.float32)",
    ),
    "run nothing": (
        1,
        "run",
        np.zeros((0, 3), np.float32),
        "frame of shape (0, 3)" + TAKES.format("(T, 3)"),
    ),
    "run one frame": (
        1,
        "run",
        np.zeros(3, np.float32),
        "frame of shape (3,)" + TAKES.format("(T, 3)"),
    ),
    "run other rows": (
        2,
        "run",
        np.zeros((3, 4, 3), np.float32),
        "frame of shape (3, 4, 3)" + TAKES.format("(2, T, 3)"),
    ),
    "run other size": (
        1,
        "run",
        np.zeros((4, 5), np.float32),
        "frame of shape (4, 5)" + TAKES.format("(T, 3)"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_frames_are_refused_and_change_nothing(case, name):
    streams, method, frame, message = REFUSED[name]
    with StreamSession(case.any, streams=streams) as session:
        with pytest.raises(StreamError) as error:
            getattr(session, method)(frame)
        assert str(error.value) == message
        assert not any(array.any() for array in session.state.values())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_nan_is_refused_if_asked_and_the_stream_goes_on(case, wrong):
    bad = case.frames[0, :3].copy()
    bad[1, 2] = wrong
    with StreamSession(case.any, check_nan=True) as session:
        with pytest.raises(StreamError) as error:
            session.step(bad[1])
        assert str(error.value) == (
            f"frame holds {wrong} at (2,); it was not fed, the state is as before. "
            "Fill the gap, or reset the stream"
        )
        with pytest.raises(StreamError, match=rf"^frame holds {wrong} at \(1, 2\); it was not fed"):
            session.run(bad)
        np.testing.assert_allclose(stepped(session, case.frames[0]), case.outputs[0], **TIGHT)


def test_wrong_states_are_refused_and_change_nothing(case):
    with StreamSession(case.any) as session:
        session.run(case.frames[0][:5])
        before = session.state
        name = next(key for key, array in before.items() if array.dtype == np.float32)
        wrong = {
            f"state {name} must be an array of float32": before[name].astype(np.float64),
            f"state {name} has shape (1,); this session has {before[name].shape}": np.zeros(
                1, np.float32
            ),
        }
        for message, array in wrong.items():
            with pytest.raises(StreamError) as error:
                session.state = before | {name: array}
            assert str(error.value) == message
        with pytest.raises(
            StreamError, match=r"^a state of \['x'\] does not fit this model, which"
        ):
            session.state = {"x": before[name]}
        for key, array in session.state.items():
            np.testing.assert_array_equal(array, before[key])


def test_rows_that_are_not_there_cannot_be_reset(case):
    with StreamSession(case.any, streams=2) as session:
        for rows in (2, [0, 5]):
            with pytest.raises(StreamError) as error:
                session.reset(rows)
            assert str(error.value) == f"cannot reset stream {rows}: there are streams 0 to 1"


def test_a_step_graph_takes_chunks_as_single_frames(case):
    with StreamSession(case.step, streams=3) as session:
        np.testing.assert_allclose(session.run(case.frames), case.outputs, **TIGHT)


def test_at_least_one_stream(case):
    with pytest.raises(StreamError, match=r"takes at least 1 streams, not 0$"):
        StreamSession(case.any, streams=0)
