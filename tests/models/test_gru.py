"""The GRU is the textbook's in cuDNN's form, and as large as it says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models.plain import gru

from edgeseq.errors import ConfigError, UsageError
from edgeseq.models.gru import GRU, GRUSpec


def model_of(spec, inputs=4, outputs=3, seed=0):
    torch.manual_seed(seed)
    return GRU(spec, inputs, outputs).double().eval()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_forward_and_state_are_the_gates_by_hand(layers):
    model = model_of(GRUSpec(hidden=5, layers=layers))
    x = np.random.default_rng(1).normal(size=(2, 30, 4))
    weights = [[w.detach().numpy() for w in layer] for layer in model.gru.all_weights]
    head, bias = model.head.weight.detach().numpy(), model.head.bias.detach().numpy()
    with torch.inference_mode():
        outputs = model(torch.from_numpy(x)).numpy()
        states = {name: s.numpy() for name, s in model.final_state(torch.from_numpy(x)).items()}
    assert list(states) == [f"h{layer}" for layer in range(layers)]
    for stream in range(2):
        hidden, last = gru(x[stream], weights)
        np.testing.assert_allclose(outputs[stream], hidden @ head.T + bias, atol=1e-12)
        for layer, h in enumerate(last):
            assert states[f"h{layer}"].shape == (1, 2, 5)
            np.testing.assert_allclose(states[f"h{layer}"][0, stream], h, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_any_cut_and_its_state_is_the_whole(cuts):
    model = model_of(GRUSpec(hidden=5))
    x = torch.randn(2, sum(cuts), 4, dtype=torch.double)
    outputs, state, seen = [], None, 0
    with torch.inference_mode():
        for part in x.split(cuts, dim=1):
            hidden, _ = model.gru(part, state)
            outputs.append(model.head(hidden))
            seen += part.shape[1]
            state = torch.cat([*model.final_state(x[:, :seen]).values()])
        torch.testing.assert_close(torch.cat(outputs, dim=1), model(x))


@given(
    hidden=st.integers(1, 40),
    layers=st.integers(1, 4),
    inputs=st.integers(1, 30),
    outputs=st.integers(1, 20),
)
def test_parameters_are_counted_right(hidden, layers, inputs, outputs):
    spec = GRUSpec(hidden, layers)
    with torch.device("meta"):
        model = GRU(spec, inputs, outputs)
    assert spec.parameters(inputs, outputs) == sum(p.numel() for p in model.parameters())


def test_too_few_parameters_says_how_many_would_do():
    with pytest.raises(UsageError) as caught:
        GRUSpec.sized(100, inputs=24, outputs=7)
    assert str(caught.value) == (
        "a GRU with 24 inputs and 7 outputs cannot have only 100 parameters; try --params 225"
    )
    assert GRUSpec.sized(225, inputs=24, outputs=7).hidden == 2


def test_sizes_that_make_no_model_name_the_family():
    with pytest.raises(ConfigError, match=r"(?s)gru.*hidden: 0 is not at least 1"):
        GRUSpec(hidden=0)
