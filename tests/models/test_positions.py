"""Every kind of positions is its definition, repeats, and is trained so."""

import dataclasses

import numpy as np
import pytest
import torch
from models.plain import transformer

from edgeseq.errors import ConfigError, UsageError
from edgeseq.families import POSITIONS
from edgeseq.models.transformer import Transformer, TransformerSpec

SPEC = TransformerSpec(12, feed_forward=10, heads=2, window=4, dropout=0.0)
ABSOLUTE = ("sinusoidal", "learned")


def model_of(kind, **sizes):
    torch.manual_seed(0)
    model = Transformer(dataclasses.replace(SPEC, positions=kind, **sizes), 3, 2).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # also of distances, which start at 0
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def weights_of(model):
    return {name: value.detach().numpy() for name, value in model.named_parameters()}


def frames_of(length, streams=2):
    return np.random.default_rng(1).normal(0, 2, (streams, length, 3))


@pytest.mark.parametrize("length", [1, 4, 5, 19])
@pytest.mark.parametrize("kind", POSITIONS)
def test_a_transformer_is_its_definition(kind, length):
    model, x = model_of(kind), frames_of(length)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(x)).numpy()
    for stream in range(2):
        expected, _ = transformer(x[stream], weights_of(model), model.spec)
        # tables are float32 on purpose: the graph has them so
        np.testing.assert_allclose(outputs[stream], expected, atol=1e-5)


@pytest.mark.parametrize("kind", POSITIONS)
def test_kinds_differ(kind):
    """Order within the window: the oldest two frames, exchanged."""
    model, x = model_of(kind, layers=1), torch.from_numpy(frames_of(4))
    with torch.inference_mode():
        moved = (model(x[:, [1, 0, 2, 3]]) - model(x))[:, -1].abs().max()
    assert moved < 1e-12 if kind == "none" else moved > 1e-3


@pytest.mark.parametrize("kind", ABSOLUTE)
def test_training_sees_every_phase_and_the_seam(kind):
    """Each crop of a batch starts at a phase of its own, drawn from the seed of the step."""
    model, period = model_of(kind).train(), 8
    x = frames_of(period, streams=1).repeat(100, axis=0)
    torch.manual_seed(5)
    with torch.inference_mode():
        first, second = (model(torch.from_numpy(x)).numpy() for _ in range(2))
        torch.manual_seed(5)
        again = model(torch.from_numpy(x)).numpy()
    weights = weights_of(model)
    wanted = [transformer(x[0], weights, model.spec, start)[0] for start in range(period)]
    seen = [int(np.abs(row - wanted).max(axis=(1, 2)).argmin()) for row in first]
    for row, start in zip(first, seen, strict=True):
        np.testing.assert_allclose(row, wanted[start], atol=1e-5)
    assert set(seen) == set(range(period))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", sorted(set(POSITIONS) - set(ABSOLUTE)))
def test_other_kinds_draw_nothing(kind):
    model, x = model_of(kind), torch.from_numpy(frames_of(9))
    with torch.inference_mode():
        assert torch.equal(model.train()(x), model.eval()(x))


@pytest.mark.parametrize("kind", POSITIONS)
def test_parameters_are_counted_right(kind):
    spec = dataclasses.replace(SPEC, positions=kind, layers=3)
    count = sum(parameter.numel() for parameter in Transformer(spec, 3, 2).parameters())
    assert spec.parameters(3, 2) == count


@pytest.mark.parametrize("parameters", [3000, 10_000, 1_000_000])
@pytest.mark.parametrize("kind", POSITIONS)
def test_sized_counts_positions_too(kind, parameters):
    spec = TransformerSpec.sized(parameters, 24, 7, context=41, positions=kind)
    assert spec.positions == kind
    assert 0.95 * parameters < spec.parameters(24, 7) <= parameters


def test_a_budget_that_positions_alone_use_up_says_how_many_would_do():
    with pytest.raises(UsageError, match="cannot have only 1000 parameters; try --params 1536"):
        TransformerSpec.sized(1000, 24, 7, context=41, positions="learned")
    assert TransformerSpec.sized(1536, 24, 7, context=41, positions="learned").width == 8


def test_only_rotary_needs_pairs():
    odd = dataclasses.replace(SPEC, width=6, positions="sinusoidal")
    assert Transformer(odd, 3, 2)(torch.zeros(1, 2, 3)).shape == (1, 2, 2)
    with pytest.raises(ConfigError, match=r"width: 6 is not a multiple of 2 x heads = 4"):
        dataclasses.replace(SPEC, width=6)
    with pytest.raises(ConfigError, match=r"width: 7 is not a multiple of heads = 2"):
        dataclasses.replace(SPEC, width=7, positions="none")
