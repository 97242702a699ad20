"""The whole-window families are their definitions, as large as they say, and late as they say."""

import numpy as np
import pytest
import torch
from models import plain

from edgeseq.errors import ConfigError, UsageError
from edgeseq.models import load_family
from edgeseq.models.cnn import CNN, CNNSpec
from edgeseq.models.encoder import Encoder, EncoderSpec
from edgeseq.models.vit import ViT, ViTSpec

FAMILIES = ("encoder", "vit", "cnn")


def made(kind, spec, inputs, outputs=3):
    """Return a model with livelier weights than training starts from."""
    torch.manual_seed(0)
    model = kind(spec, inputs, outputs)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5).add_(torch.randn_like(parameter) * 0.1)
    return model.double().eval()


def windows_of(window, inputs):
    return np.random.default_rng(2).normal(0, 2, (4, window, inputs))


def said(model, windows):
    with torch.inference_mode():
        return model.window_outputs(torch.from_numpy(windows)).numpy()


def arrays(module):
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("lookahead", [0, 2, 6])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_encoder_is_its_definition(layers, lookahead):
    spec = EncoderSpec(12, 10, layers, heads=3, window=7, lookahead=lookahead)
    model, windows = made(Encoder, spec, 4), windows_of(7, 4)
    w = arrays(model)
    for window, found in zip(windows, said(model, windows), strict=True):
        x = window @ w["embed.weight"].T + w["embed.bias"] + w["places"]
        x = plain.blocks(x, w, layers, heads=3)
        x = plain.normed(x[7 - 1 - lookahead], w["norm.weight"], w["norm.bias"])
        np.testing.assert_allclose(found, w["head.weight"] @ x, atol=1e-10)


@pytest.mark.parametrize(
    ("window", "inputs", "patch"), [(8, 4, 2), (7, 5, 3), (6, 1, 4), (5, 3, 1)]
)
def test_the_vit_is_its_definition(window, inputs, patch):
    model = made(ViT, ViTSpec(8, 10, heads=2, window=window, patch=patch), inputs)
    windows, w = windows_of(window, inputs), arrays(model)
    for picture, found in zip(windows, said(model, windows), strict=True):
        patches = plain.patches(picture, patch, min(patch, inputs))
        x = patches @ w["embed.weight"].T + w["embed.bias"] + w["places"]
        x = plain.normed(plain.blocks(x, w, 2, heads=2), w["norm.weight"], w["norm.bias"])
        np.testing.assert_allclose(found, w["head.weight"] @ x.mean(0), atol=1e-10)


@pytest.mark.parametrize("window", [2, 9, 16, 17])
def test_the_cnn_is_its_definition(window):
    model, windows = (
        made(CNN, CNNSpec(6, layers=2, kernel=5, window=window), 3),
        windows_of(window, 3),
    )
    w = arrays(model)
    for x, found in zip(windows, said(model, windows), strict=True):
        for layer in range(2):
            prefix = f"convolutions.{layer}"
            x = plain.convolved(x, w[f"{prefix}.patches.weight"], kernel=5)
            x = plain.normed(x, w[f"{prefix}.norm.weight"], w[f"{prefix}.norm.bias"])
            x = np.maximum(x, 0)
        expected = w["head.weight"] @ x.ravel() + w["head.bias"]
        np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("parameters", [1_000, 50_000, 5_000_000])
@pytest.mark.parametrize(("inputs", "context"), [(24, 32), (1, 64)])
def test_sizes_from_1k_to_5m(family, parameters, inputs, context):
    found = load_family(family)
    spec = found.spec.sized(parameters, inputs, 7, context)
    with torch.device("meta"):
        model = found.body(spec, inputs, 7)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert spec.parameters(inputs, 7) == count
    assert (0.8 if parameters == 1_000 else 0.97) * parameters <= count <= parameters
    assert spec.window == context


@pytest.mark.parametrize("family", FAMILIES)
def test_too_few_parameters_says_how_many_would_do(family):
    spec = load_family(family).spec
    with pytest.raises(UsageError) as caught:
        spec.sized(50, 24, 7, 32)
    enough = int(str(caught.value).rpartition(" ")[2])
    assert spec.sized(enough, 24, 7, 32).parameters(24, 7) <= enough


def test_a_picture_has_a_bounded_number_of_patches():
    def chosen(inputs, window):
        spec = ViTSpec.sized(50_000, inputs, 7, window)
        return spec.patch, spec.tokens(inputs)

    assert chosen(8, 8) == (2, (16, 4))
    assert chosen(24, 32) == (4, (48, 16))  # a watch: 32 frames of 24 values
    assert chosen(1, 64) == (2, (32, 2))  # a meter: strips of 2 frames
    assert chosen(1, 1000) == (16, (63, 16))


@pytest.mark.parametrize(
    ("make", "mistake"),
    [
        (lambda: EncoderSpec(8, 4, window=1), "window: 1 is not at least 2"),
        (lambda: EncoderSpec(10, 4), "width: 10 is not a multiple of heads = 4"),
        (lambda: EncoderSpec(8, 4, window=6, lookahead=6), "lookahead: 6 is not below window = 6"),
        (lambda: EncoderSpec(8, 4, lookahead=-1), "lookahead: -1 is not at least 0"),
        (lambda: ViTSpec(8, 4, patch=0), "patch: 0 is not at least 1"),
        (lambda: CNNSpec(0), "channels: 0 is not at least 1"),
        (lambda: CNNSpec(4, window=1), "window: 1 is not at least 2"),
    ],
)
def test_sizes_that_make_no_model_are_named(make, mistake):
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.mistakes == (mistake,)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_only_while_training(family):
    found = load_family(family)
    model = found.body(found.spec.sized(2000, 3, 2, 8), 3, 2)
    frames = torch.randn(1, 1, 3)  # one frame, so that training asks for it
    assert torch.equal(model.eval()(frames), model(frames))
    assert not torch.equal(model.train()(frames), model(frames))


def test_only_the_encoder_can_be_late():
    assert [EncoderSpec(8, 4, lookahead=n).delay for n in (0, 3)] == [0, 3]
    assert ViTSpec(8, 4).delay == CNNSpec(4).delay == 0
