"""State pairs are guessed from the names that published models use."""

import pytest

from edgeseq.graph.states import StatePair, Value, guess_states


def pair(before, after, shape=("N", "4"), after_shape=None, dtypes=("float32", "float32")):
    inputs = [Value("x", "float32", ("N", "T", "3")), Value(before, dtypes[0], shape)]
    outputs = [
        Value("y", "float32", ("N", "T", "2")),
        Value(after, dtypes[1], shape if after_shape is None else after_shape),
    ]
    return guess_states(inputs, outputs)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("h0", "next_h0"),  # edgeseq, sherpa-onnx LSTM
        ("h0", "hn"),  # PyTorch's documentation
        ("c_0", "c_n"),
        ("h", "hn"),  # Silero VAD 4
        ("state", "stateN"),  # Silero VAD 5
        ("past_key_values.0.key", "present.0.key"),  # Hugging Face
        ("past_key_values.3.decoder.value", "present.3.decoder.value"),
        ("past_0", "present_0"),
        ("cached_len_0", "new_cached_len_0"),  # sherpa-onnx Zipformer
        ("cache_attn", "new_cache_attn"),
        ("conv_state_in", "conv_state_out"),
        ("h_in_1", "h_out_1"),
        ("in_state", "out_state"),
        ("input_states", "output_states"),
        ("prev_hidden", "next_hidden"),
        ("initial_state", "final_state"),
        ("buffer", "buffer_out"),
    ],
)
def test_names_of_the_field(before, after):
    assert pair(before, after) == (StatePair(before, after, guessed=True),)


def test_shape_and_dtype_must_allow_it():
    assert pair("h0", "hn", ("N", "4"), ("N", "5")) == ()
    assert pair("h0", "hn", ("N", "4"), ("N", "4", "1")) == ()
    assert pair("h0", "hn", dtypes=("float32", "int64")) == ()
    assert pair("h0", "hn", ("N", "4"), ("batch", "4"))
    assert pair("past.0", "present.0", ("N", "past"), ("N", "past + 1"))


def test_unrelated_names_are_no_state():
    assert pair("lengths", "probabilities") == ()
    assert pair("hidden", "h") == ()


def test_unknown_rank_does_not_contradict():
    values = [Value("state", "float32", None)], [Value("stateN", "float32", ("2", "1", "128"))]
    assert guess_states(*values) == (StatePair("state", "stateN", guessed=True),)


def test_an_output_is_fed_to_one_input_only():
    inputs = [Value("h0", "float32", None), Value("h", "float32", None)]
    assert guess_states(inputs, [Value("hn", "float32", None)]) == (StatePair("h0", "hn", True),)
