"""Generation against plain loops, on tiny models of random weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edgeseq.contract import Frame, Output
from edgeseq.errors import StreamError, UsageError
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.lstm import LSTMSpec
from edgeseq.runtime import StreamModel, StreamSession, generate
from edgeseq.runtime.generate import choose, probabilities

VOCABULARY = tuple("abcdefgh")
FRAME = Frame(("character",), ("token",), sample_rate_hz=1, vocabulary=VOCABULARY)
LIKELY = np.log(np.array([0.1, 0.4, 0.2, 0.3], np.float32))


def load(folder, frame, labels):
    torch.manual_seed(0)
    spec, tokens = LSTMSpec(hidden=16), len(frame.vocabulary)
    model = SequenceModel(spec, 1, len(labels), vocabulary=tokens).eval()
    with torch.no_grad():
        for weight in model.body.parameters():
            weight *= 3  # so that greedy text does not end in one letter
    output = Output(kind="logits", labels=labels)
    graph = build_graph(model, frame, output, producer="test", recipe="test")
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return StreamModel.load(folder / "model.onnx"), model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(tmp_path_factory.mktemp("tokens"), FRAME, VOCABULARY)


def test_greedy_is_the_argmax_of_the_whole_text(loaded):
    model, network = loaded
    tokens = [3, 1, 4]
    with torch.inference_mode():
        for _ in range(20):
            logits = network(torch.tensor(tokens).float()[None, :, None])
            tokens.append(int(logits[0, -1].argmax()))
    assert list(generate(StreamSession(model), [3, 1, 4], 20, temperature=0)) == tokens[3:]
    assert len(set(tokens[3:])) > 1


def test_sampling_is_a_plain_loop_with_the_seeds_draws(loaded):
    model, _ = loaded
    how = {"temperature": 0.8, "top_k": 5, "top_p": 0.9}
    tokens = list(generate(StreamSession(model), [0, 7], 30, seed=4, **how))
    session, rng, plain = StreamSession(model), np.random.default_rng(4), []
    for frame in (0, 7):
        logits = session.step(np.array([frame], np.float32))
    for _ in range(30):
        likely = probabilities(logits, **how)
        plain.append(int(np.searchsorted(np.cumsum(likely), rng.random(), side="right")))
        logits = session.step(np.array([plain[-1]], np.float32))
    assert tokens == plain
    assert tokens == list(generate(StreamSession(model), [0, 7], 30, seed=4, **how))
    assert tokens != list(generate(StreamSession(model), [0, 7], 30, seed=5, **how))


def test_goes_on_from_the_last_token_as_if_never_stopped(loaded):
    model, _ = loaded
    whole = list(generate(StreamSession(model), [2], 30, seed=1))
    session, rng = StreamSession(model), np.random.default_rng(1)
    first = list(generate(session, [2], 11, seed=rng))
    assert first + list(generate(session, first[-1:], 19, seed=rng)) == whole


def test_a_token_is_fed_when_the_next_is_asked_for(loaded):
    model, _ = loaded
    session = StreamSession(model)
    stream = generate(session, [2, 5], 9, temperature=0)
    assert not session.state["h0"].any()
    first = next(stream)
    before = session.state
    next(stream)
    other = StreamSession(model)
    for token in (2, 5):
        other.step(np.array([token], np.float32))
    np.testing.assert_array_equal(before["h0"], other.state["h0"])
    other.step(np.array([first], np.float32))
    np.testing.assert_array_equal(session.state["h0"], other.state["h0"])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),  # squares, of 0.3 together
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 9}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.39}, [0, 1, 0, 0]),
        ({"top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.8}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_p": 1.0}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_k": 2, "top_p": 0.5}, [0, 1, 0, 0]),
    ],
)
def test_how_likely_a_draw_is(how, expected):
    np.testing.assert_allclose(probabilities(LIKELY, **how), expected, atol=1e-6)


def test_draws_come_as_often_as_they_are_likely():
    rng = np.random.default_rng(0)
    draws = [choose(LIKELY, rng, top_k=3) for _ in range(20_000)]
    shares = np.bincount(draws, minlength=4) / len(draws)
    np.testing.assert_allclose(shares, [0, 4 / 9, 2 / 9, 3 / 9], atol=0.015)
    assert shares[0] == 0


def test_the_smallest_draw_takes_no_token_that_is_left_out():
    assert choose(LIKELY, SimpleNamespace(random=lambda: 0.0), top_k=3) == 1


def test_huge_logits_do_not_overflow():
    likely = probabilities(np.array([3e38, 0, -3e38], np.float32), temperature=0.01)
    assert likely.tolist() == [1, 0, 0]
    with pytest.raises(StreamError, match="the model returned NaN"):
        choose(np.array([0, np.nan], np.float32), np.random.default_rng(0), temperature=0)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        ({"prompt": []}, StreamError, "an empty prompt"),
        ({"prompt": [8]}, StreamError, "8 is no token of this model; there are 0 to 7"),
        ({"temperature": -0.1}, UsageError, "temperature -0.1 is not"),
        ({"temperature": float("nan")}, UsageError, "temperature nan is not"),
        ({"top_k": 0}, UsageError, "top-k 0 is not"),
        ({"top_p": 0}, UsageError, "top-p 0 is not"),
        ({"top_p": 1.1}, UsageError, "top-p 1.1 is not"),
    ],
)
def test_senseless_calls_are_refused_at_once(loaded, call, kind, message):
    with pytest.raises(kind, match=message):
        generate(StreamSession(loaded[0]), **{"prompt": [0], "length": 1} | call)


def test_only_one_stream_of_a_next_token_model(loaded, tmp_path):
    with pytest.raises(StreamError, match="of one stream, not 2"):
        generate(StreamSession(loaded[0], streams=2), [0], 1)
    other, _ = load(tmp_path, Frame(("ax",), ("g",), sample_rate_hz=50), VOCABULARY)
    with pytest.raises(StreamError, match=r"continues no text: it maps \[ax\] to 8 logits"):
        generate(StreamSession(other), [0], 1)
