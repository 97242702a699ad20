"""The window is exact, positions are relative and repeat, and sizes are what they say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models.plain import attention

from edgeseq.errors import ConfigError, UsageError
from edgeseq.export.positions import rotary_angles
from edgeseq.models.attention import Attention, Block
from edgeseq.models.transformer import Transformer, TransformerSpec


def spec_of(window=8, width=16, heads=2, layers=1, **sizes):
    return TransformerSpec(
        width, feed_forward=12, layers=layers, heads=heads, window=window, **sizes
    )


def made(kind, *arguments, seed=0):
    torch.manual_seed(seed)
    return kind(*arguments).double().eval()


@pytest.mark.parametrize("window", [1, 2, 8])
@pytest.mark.parametrize("length", ["1", "W-1", "W", "W+1", "2*W", "3*W+5"])
def test_attention_is_its_definition(window, length):
    frames = max(1, eval(length, {"W": window}))
    module = made(Attention, spec_of(window))
    x = np.random.default_rng(2).normal(0, 2, (3, frames, 16))
    with torch.inference_mode():
        outputs = module(torch.from_numpy(x)).numpy()
    qkv, out = module.qkv.weight.detach().numpy(), module.out.weight.detach().numpy()
    for stream in range(3):
        expected, *_ = attention(x[stream], qkv, out, heads=2, window=window)
        # cos and sin are float32 on purpose: the graph has them so
        np.testing.assert_allclose(outputs[stream], expected, atol=1e-6)


@pytest.mark.parametrize("window", [1, 2, 8])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_frame_reaches_exactly_as_far_as_the_window(window, layers):
    model = made(Transformer, spec_of(window, layers=layers), 4, 3)
    x = torch.randn(1, 6 * window + 20, 4, dtype=torch.double)
    changed = x.clone()
    at = window + 3
    changed[:, at] += 1
    with torch.inference_mode():
        moved = (model(changed) - model(x)).abs().amax(dim=(0, 2)).numpy()
    reached = np.flatnonzero(moved > 1e-15)
    assert reached[0] == at, "the past saw the future"
    assert reached[-1] == at + layers * (window - 1)
    assert moved[reached[-1]] > 1e-9


@given(window=st.integers(1, 300), half=st.integers(1, 40))
def test_angles_repeat_after_two_windows(window, half):
    angles = rotary_angles(window, 2 * half)
    assert angles.shape == (2 * window, half)
    a_frame = angles[1] if len(angles) > 1 else angles[0]
    turns = a_frame * 2 * window / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-9)
    assert np.rint(turns).min() == 1
    assert a_frame.max() <= np.pi + 1e-9  # faster would look like slower, backwards
    after = np.exp(1j * (angles[-1] + a_frame))  # the frame after the last is the first
    np.testing.assert_allclose(after, np.exp(1j * angles[0]), atol=1e-9)


def test_scores_depend_on_distance_only():
    module = made(Attention, spec_of(window=8))
    x = torch.randn(1, 1, 16, dtype=torch.double).expand(1, 40, 16)  # the same frame, 40 times
    q, k, _ = module._project(x)
    scores = (q @ k.transpose(-1, -2))[0].detach()  # (H, T, T)
    for distance in range(-7, 8):
        diagonal = torch.diagonal(scores, distance, dim1=1, dim2=2)
        # float32 tables: the spread of rounding, not of position
        assert float((diagonal.amax(1) - diagonal.amin(1)).max()) < 1e-5
    spread = scores[:, 20, 13:21]
    assert float((spread.amax(1) - spread.amin(1)).min()) > 1e-2, "distance must matter"


def test_a_late_stream_is_a_shifted_early_one():
    """What left the window has no influence at all, whatever the position."""
    model = made(Transformer, spec_of(window=8), 4, 3)
    x = torch.randn(1, 60, 4, dtype=torch.double)
    with torch.inference_mode():
        late, early = model(x)[:, 37 + 8 :], model(x[:, 37:])[:, 8:]
    torch.testing.assert_close(late, early, atol=1e-6, rtol=0)


def test_final_state_holds_the_last_window():
    spec = spec_of(window=8, layers=2)
    model = made(Transformer, spec, 4, 3)
    x = torch.randn(2, 40, 4, dtype=torch.double)
    with torch.inference_mode():
        embedded = model.embed(x)
        block = model.blocks[0]
        keys, values = block.attention.keys_values(block.norm1(embedded))
        for length in (1, 7, 8, 9, 23, 24, 25, 40):
            state = model.final_state(x[:, :length])
            assert list(state) == [
                *(f"past_key_values.{i}.{what}" for i in (0, 1) for what in ("key", "value")),
                "cached_position",
            ]
            position = state["cached_position"]
            assert position.tolist() == [length if length < 24 else 8 + (length - 8) % 16] * 2
            for what, whole in (("key", keys), ("value", values)):
                ring = state[f"past_key_values.0.{what}"]
                assert ring.shape == (2, 2, 8, 8)
                for slot in range(8):
                    frames = [t for t in range(length) if t % 8 == slot]
                    wanted = whole[:, :, frames[-1]] if frames else torch.zeros_like(ring[:, :, 0])
                    torch.testing.assert_close(ring[:, :, slot], wanted)


@given(
    heads=st.integers(1, 4),
    half=st.integers(1, 4),
    feed_forward=st.integers(1, 40),
    layers=st.integers(1, 3),
    inputs=st.integers(1, 30),
    outputs=st.integers(1, 20),
)
def test_parameters_are_counted_right(heads, half, feed_forward, layers, inputs, outputs):
    spec = TransformerSpec(2 * half * heads, feed_forward, layers, heads, window=4)
    with torch.device("meta"):
        blocks = [sum(p.numel() for p in Block(spec).parameters()) for _ in range(layers)]
        rest = (inputs + 1 + 2 + outputs) * spec.width  # embedding with bias, last norm, head
    assert spec.parameters(inputs, outputs) == sum(blocks) + rest


def test_known_count():
    spec = TransformerSpec(width=64, feed_forward=256, window=128)
    model = Transformer(spec, 40, 12)
    assert spec.parameters(40, 12) == sum(p.numel() for p in model.parameters()) == 102_336


@given(
    parameters=st.integers(1, 2_000_000), inputs=st.integers(1, 2000), outputs=st.integers(1, 100)
)
def test_sized_is_the_largest_of_its_width(parameters, inputs, outputs):
    smallest = TransformerSpec(8, 1).parameters(inputs, outputs)
    try:
        spec = TransformerSpec.sized(parameters, inputs, outputs, context=9)
    except UsageError:
        assert smallest > parameters
        return
    assert (spec.layers, spec.heads, spec.window) == (2, 4, 9)
    assert spec.parameters(inputs, outputs) <= parameters
    wider = TransformerSpec(spec.width, spec.feed_forward + 1)
    assert wider.parameters(inputs, outputs) > parameters


@pytest.mark.parametrize("parameters", [20_000, 50_000, 200_000, 1_000_000])
def test_sized_keeps_the_usual_shape(parameters):
    spec = TransformerSpec.sized(parameters, inputs=24, outputs=7)
    assert 2.5 <= spec.feed_forward / spec.width <= 6
    assert spec.parameters(24, 7) > 0.97 * parameters


def test_too_few_parameters_says_how_many_would_do():
    with pytest.raises(UsageError) as caught:
        TransformerSpec.sized(500, inputs=24, outputs=7)
    assert str(caught.value) == (
        "a Transformer with 24 inputs and 7 outputs cannot have only 500 parameters; "
        "try --params 880"
    )
    assert TransformerSpec.sized(880, inputs=24, outputs=7).feed_forward == 1


@pytest.mark.parametrize(
    ("sizes", "mistakes"),
    [
        ({"width": 12, "heads": 4}, ("width: 12 is not a multiple of 2 x heads = 8",)),
        ({"heads": 0}, ("heads: 0 is not at least 1",)),
        ({"window": 0}, ("window: 0 is not at least 1",)),
        ({"width": 0, "layers": 0}, ("width: 0 is not at least 1", "layers: 0 is not at least 1")),
        ({"dropout": -0.1}, ("dropout: -0.1 is not at least 0 and below 1",)),
    ],
)
def test_sizes_that_make_no_model_are_named(sizes, mistakes):
    with pytest.raises(ConfigError) as caught:
        spec_of(**sizes)
    assert caught.value.mistakes == mistakes


def test_dropout_only_while_training():
    model = made(Transformer, spec_of(window=4, layers=2, dropout=0.5), 4, 3)
    x = torch.randn(1, 11, 4, dtype=torch.double)
    assert torch.equal(model(x), model(x))
    assert not torch.equal(model.train()(x), model(x))
