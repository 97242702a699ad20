"""Raw units in, the task's units out, for every family."""

import pytest
import torch

from edgeseq.families import FAMILIES
from edgeseq.models import SequenceModel, load_family
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.decoder import DecoderSpec
from edgeseq.models.encoder import EncoderSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.hybrid import HybridSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.models.vit import ViTSpec

SPECS = {
    "lstm": LSTMSpec(6),
    "gru": GRUSpec(6),
    "hybrid": HybridSpec(8, 10, heads=2, window=4),
    "transformer": TransformerSpec(8, 10, heads=2, window=4),
    "encoder": EncoderSpec(8, 10, heads=2, window=4),
    "vit": ViTSpec(8, 10, heads=2, window=4),
    "cnn": CNNSpec(5, window=4),
    "encoder-decoder": EncoderDecoderSpec(8, 10, source=3, heads=2, window=4),
}
OF_TOKENS = {"decoder": DecoderSpec(8, 10, heads=2, window=4)}
"""`test_decoder.py` has theirs."""


def model_of(family, residual_of=None):
    torch.manual_seed(0)
    model = SequenceModel(SPECS[family], 3, 2, residual_of).double().eval()
    model.input_mean.copy_(torch.tensor([100.0, -5.0, 0.0]))
    model.input_std.copy_(torch.tensor([20.0, 0.1, 1.0]))
    model.output_mean.copy_(torch.tensor([7.0, -2.0]))
    model.output_std.copy_(torch.tensor([3.0, 0.5]))
    return model


def test_every_family_is_tested():
    specs = SPECS | OF_TOKENS
    assert specs.keys() == FAMILIES.keys()
    assert {name: spec.family for name, spec in specs.items()} == {n: n for n in FAMILIES}
    assert {name: load_family(name).spec for name in FAMILIES} == {
        name: type(spec) for name, spec in specs.items()
    }
    assert all(FAMILIES.values())


@pytest.mark.parametrize(("parameters", "filled"), [(1_000, 0.85), (50_000, 0.97), (5e6, 0.99)])
@pytest.mark.parametrize("family", SPECS)
def test_any_number_of_parameters_is_filled_and_never_exceeded(family, parameters, filled):
    """As `har` has them, 24 values a frame and 7 outputs."""
    spec = load_family(family).spec.sized(int(parameters), 24, 7)
    assert filled * parameters < spec.parameters(24, 7) <= parameters


@pytest.mark.parametrize("family", SPECS)
@pytest.mark.parametrize("residual_of", [None, 0, 2])
def test_units_on_both_sides(family, residual_of):
    model = model_of(family, residual_of)
    raw = torch.randn(2, 9, 3, dtype=torch.double) * model.input_std + model.input_mean
    scaled = (raw - torch.tensor([100.0, -5.0, 0.0])) / torch.tensor([20.0, 0.1, 1.0]).double()
    with torch.inference_mode():
        expected = model.body(scaled) * torch.tensor([3.0, 0.5]) + torch.tensor([7.0, -2.0])
        if residual_of is not None:  # the change from now, added to now
            expected = expected + raw[:, :, residual_of : residual_of + 1]
        torch.testing.assert_close(model(raw), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", SPECS)
def test_final_state_is_taken_in_raw_units(family):
    model = model_of(family)
    raw = torch.randn(2, 9, 3, dtype=torch.double) * model.input_std + model.input_mean
    with torch.inference_mode():
        state = model.final_state(raw)
        expected = model.body.final_state((raw - model.input_mean) / model.input_std)
    assert state.keys() == expected.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("family", SPECS)
def test_constants_travel_with_the_weights_and_are_not_trained(family):
    model = model_of(family)
    constants = {"input_mean", "input_std", "output_mean", "output_std"}
    names = set(model.state_dict())
    assert constants < names
    trained = {name for name, _ in model.named_parameters()}
    assert trained == names - constants, "tables that follow from sizes are not stored"
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == SPECS[family].parameters(inputs=3, outputs=2)
