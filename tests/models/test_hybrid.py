"""The hybrid is its parts one after the other, remembers past its window, and is sized right."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models.plain import attention, lstm, norm

from edgeseq.errors import ConfigError, UsageError
from edgeseq.models.hybrid import Hybrid, HybridSpec

SPEC = HybridSpec(width=8, feed_forward=10, heads=2, window=4)


def model_of(spec=SPEC, inputs=4, outputs=3):
    torch.manual_seed(0)
    model = Hybrid(spec, inputs, outputs).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms of ones and zeros would hide their place
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def by_hand(weights, x, spec):
    """Run `(T, F)` through the parts; return the outputs and what each part was fed."""
    fed = {}
    x = x @ weights["embed.weight"].T + weights["embed.bias"]
    for layer in range(spec.layers):

        def of(name, prefix):
            return [weights[f"{prefix}{name}.{kind}"] for kind in ("weight", "bias")]

        before, block = f"recurrences.{layer}.", f"blocks.{layer}."
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        gates = [weights[f"{before}lstm.{kind}_l0"] for kind in kinds]
        hidden, states = lstm(norm(x, *of("norm", before)), [gates])
        fed[layer] = states[0]
        x = x + hidden
        qkv, out = (weights[f"{block}attention.{name}.weight"] for name in ("qkv", "out"))
        x = (
            x
            + attention(
                norm(x, *of("norm1", block)), qkv, out, spec.heads, spec.window, spec.positions
            )[0]
        )
        up, down = weights[f"{block}up.weight"], weights[f"{block}down.weight"]
        x = x + np.maximum(norm(x, *of("norm2", block)) @ up.T, 0) @ down.T
    x = norm(x, weights["norm.weight"], weights["norm.bias"])
    return x @ weights["head.weight"].T, fed


@pytest.mark.parametrize("positions", ["none", "rotary"])
def test_forward_and_state_are_the_parts_by_hand(positions):
    spec = replace(SPEC, positions=positions)
    model = model_of(spec)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    x = np.random.default_rng(1).normal(size=(2, 30, 4))
    with torch.inference_mode():
        outputs = model(torch.from_numpy(x)).numpy()
        states = {name: s.numpy() for name, s in model.final_state(torch.from_numpy(x)).items()}
    assert list(states) == [
        name
        for n in (0, 1)
        for name in (f"h{n}", f"c{n}", f"past_key_values.{n}.key", f"past_key_values.{n}.value")
    ] + ["cached_position"]
    for stream in range(2):
        expected, last = by_hand(weights, x[stream], spec)
        # cos and sin are float32 on purpose: the graph has them so
        np.testing.assert_allclose(outputs[stream], expected, atol=1e-6)
        for layer, (h, c) in last.items():
            np.testing.assert_allclose(states[f"h{layer}"][0, stream], h, atol=1e-6)
            np.testing.assert_allclose(states[f"c{layer}"][0, stream], c, atol=1e-6)


def test_a_frame_is_remembered_when_it_has_left_every_window():
    model = model_of()
    x = torch.randn(1, 60, 4, dtype=torch.double)
    changed = x.clone()
    changed[:, 20] += 1
    with torch.inference_mode():
        moved = (model(changed) - model(x)).abs().amax(dim=(0, 2)).numpy()
    assert moved[:20].max() == 0, "the past saw the future"
    farthest = 20 + SPEC.layers * (SPEC.window - 1)
    assert moved[farthest + 1 : farthest + 5].min() > 1e-9


@given(
    size=st.integers(1, 8),
    heads=st.integers(1, 4),
    feed_forward=st.integers(1, 40),
    layers=st.integers(1, 3),
    inputs=st.integers(1, 30),
    outputs=st.integers(1, 20),
)
def test_parameters_are_counted_right(size, heads, feed_forward, layers, inputs, outputs):
    spec = HybridSpec(heads * size, feed_forward, layers, heads, window=7)
    with torch.device("meta"):
        model = Hybrid(spec, inputs, outputs)
    assert spec.parameters(inputs, outputs) == sum(p.numel() for p in model.parameters())


@given(parameters=st.integers(1, 300_000), inputs=st.integers(1, 99), outputs=st.integers(1, 99))
def test_sized_fills_what_it_is_given(parameters, inputs, outputs):
    try:
        spec = HybridSpec.sized(parameters, inputs, outputs, context=9)
    except UsageError:
        assert HybridSpec(4, 1, heads=2).parameters(inputs, outputs) > parameters
        return
    assert (spec.layers, spec.window) == (2, 9)
    left = parameters - spec.parameters(inputs, outputs)
    assert 0 <= left < 2 * spec.width * spec.layers, "less than one more feed-forward unit"


def test_too_few_parameters_says_how_many_would_do():
    with pytest.raises(UsageError) as caught:
        HybridSpec.sized(100, inputs=24, outputs=7)
    assert str(caught.value) == (
        "a hybrid with 24 inputs and 7 outputs cannot have only 100 parameters; try --params 648"
    )
    assert HybridSpec.sized(648, inputs=24, outputs=7).feed_forward == 1


def test_sizes_that_make_no_model_are_named():
    with pytest.raises(ConfigError, match=r"(?s)hybrid.*width: 10 is not a multiple of heads = 4"):
        HybridSpec(10, 4)
    with pytest.raises(ConfigError, match="width: 12 is not a multiple of 2 x heads = 8"):
        HybridSpec(12, 4, positions="rotary")
    with pytest.raises(ConfigError, match="heads: 0 is not at least 1"):
        HybridSpec(8, 4, heads=0)


def test_dropout_only_while_training():
    model = model_of(HybridSpec(width=8, feed_forward=10, heads=2, dropout=0.5))
    x = torch.randn(1, 8, 4, dtype=torch.double)
    assert torch.equal(model(x), model(x))
    assert not torch.equal(model.train()(x), model(x))
