"""The LSTM is the textbook's, and as large as it says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models.plain import lstm

from edgeseq.errors import ConfigError, UsageError
from edgeseq.models.lstm import LSTM, LSTMSpec


def model_of(spec, inputs=4, outputs=3, seed=0):
    torch.manual_seed(seed)
    return LSTM(spec, inputs, outputs).double().eval()


@pytest.mark.parametrize("projection", [0, 3])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_forward_and_state_are_the_gates_by_hand(layers, projection):
    model = model_of(LSTMSpec(hidden=5, layers=layers, projection=projection))
    x = np.random.default_rng(1).normal(size=(2, 30, 4))
    weights = [[w.detach().numpy() for w in layer] for layer in model.lstm.all_weights]
    head, bias = model.head.weight.detach().numpy(), model.head.bias.detach().numpy()
    with torch.inference_mode():
        outputs = model(torch.from_numpy(x)).numpy()
        states = {name: s.numpy() for name, s in model.final_state(torch.from_numpy(x)).items()}
    assert list(states) == [f"{letter}{layer}" for layer in range(layers) for letter in "hc"]
    for stream in range(2):
        hidden, last = lstm(x[stream], weights)
        np.testing.assert_allclose(outputs[stream], hidden @ head.T + bias, atol=1e-12)
        for layer, (h, c) in enumerate(last):
            assert states[f"h{layer}"].shape == (1, 2, projection or 5)
            assert states[f"c{layer}"].shape == (1, 2, 5)
            np.testing.assert_allclose(states[f"h{layer}"][0, stream], h, atol=1e-12)
            np.testing.assert_allclose(states[f"c{layer}"][0, stream], c, atol=1e-12)


def test_final_state_takes_up_where_the_prefix_ended():
    model = model_of(LSTMSpec(hidden=5))
    x = torch.randn(2, 20, 4, dtype=torch.double)
    with torch.inference_mode():
        state = model.final_state(x[:, :13])
        pair = tuple(torch.cat([state[f"{letter}0"], state[f"{letter}1"]]) for letter in "hc")
        rest = model.head(model.lstm(x[:, 13:], pair)[0])
        torch.testing.assert_close(rest, model(x)[:, 13:])


@given(
    hidden=st.integers(1, 40),
    layers=st.integers(1, 4),
    inputs=st.integers(1, 30),
    outputs=st.integers(1, 20),
    data=st.data(),
)
def test_parameters_are_counted_right(hidden, layers, inputs, outputs, data):
    projection = data.draw(st.integers(0, hidden - 1))
    spec = LSTMSpec(hidden, layers, projection=projection)
    with torch.device("meta"):
        model = LSTM(spec, inputs, outputs)
    assert spec.parameters(inputs, outputs) == sum(p.numel() for p in model.parameters())


def test_known_count():
    assert LSTMSpec(hidden=128).parameters(inputs=40, outputs=12) == 220_684


@given(
    parameters=st.integers(1, 2_000_000),
    inputs=st.integers(1, 300),
    outputs=st.integers(1, 100),
    projection=st.integers(0, 50),
)
def test_sized_is_the_largest_that_fits(parameters, inputs, outputs, projection):
    try:
        spec = LSTMSpec.sized(parameters, inputs, outputs, projection=projection)
    except UsageError:
        least = LSTMSpec(projection + 1, projection=projection)
        assert least.parameters(inputs, outputs) > parameters
        return
    assert (spec.layers, spec.projection) == (2, projection)
    assert spec.parameters(inputs, outputs) <= parameters
    wider = LSTMSpec(spec.hidden + 1, projection=projection)
    assert wider.parameters(inputs, outputs) > parameters


def test_too_few_parameters_says_how_many_would_do():
    with pytest.raises(UsageError) as caught:
        LSTMSpec.sized(100, inputs=24, outputs=7)
    assert str(caught.value) == (
        "an LSTM with 24 inputs and 7 outputs cannot have only 100 parameters; try --params 293"
    )
    assert LSTMSpec.sized(293, inputs=24, outputs=7).hidden == 2


def test_sizes_that_make_no_model_are_all_named():
    with pytest.raises(ConfigError) as caught:
        LSTMSpec(hidden=0, layers=-1, dropout=1.0)
    assert caught.value.mistakes == (
        "hidden: 0 is not at least 1",
        "layers: -1 is not at least 1",
        "dropout: 1.0 is not at least 0 and below 1",
    )


@pytest.mark.parametrize("projection", [-1, 5, 6])
def test_a_projection_is_narrower_than_the_cell(projection):
    with pytest.raises(ConfigError) as caught:
        LSTMSpec(hidden=5, projection=projection)
    assert caught.value.mistakes == (f"projection: {projection} is neither 0 nor below hidden: 5",)


def test_dropout_only_while_training():
    model = model_of(LSTMSpec(hidden=5, layers=1, dropout=0.5))
    x = torch.randn(1, 8, 4, dtype=torch.double)
    assert torch.equal(model(x), model(x))
    assert not torch.equal(model.train()(x), model(x))
