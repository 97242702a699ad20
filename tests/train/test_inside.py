"""What is looked up inside a model is what the model did, and points where it has to."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgeseq.contract import Output
from edgeseq.errors import UsageError
from edgeseq.explain import attended_importance, gated_importance, neutral, occlude
from edgeseq.explain.occlusion import score
from edgeseq.explain.target import Target
from edgeseq.models import SequenceModel
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.decoder import DecoderSpec
from edgeseq.models.encoder import EncoderSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.hybrid import HybridSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.models.vit import ViTSpec
from edgeseq.train.inside import (
    attention_of,
    gates_of,
    gradient_times_input,
    integrated_gradients,
)
from edgeseq.train.inside.gates import layers_of
from edgeseq.train.inside.seen import inputs_of
from edgeseq.train.predict import predictor

INPUTS, OUTPUTS, FRAMES = 3, 4, 20
CLASSES = Output("logits", ("a", "b", "c", "d"))
VALUE = Output("value", ("x",), units="V")
SMALL = {"width": 16, "feed_forward": 8, "heads": 2}


def made(spec, outputs=OUTPUTS, vocabulary=0):
    torch.manual_seed(0)
    inputs = 1 if vocabulary else INPUTS
    model = SequenceModel(spec, inputs, outputs, vocabulary=vocabulary).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def signal(frames=FRAMES):
    return np.random.default_rng(1).normal(0, 1, (frames, INPUTS)).astype(np.float32)


@pytest.mark.parametrize(
    "spec",
    [LSTMSpec(5, layers=2), LSTMSpec(6, layers=2, projection=3), GRUSpec(5, layers=2)],
    ids=["lstm", "projection", "gru"],
)
def test_gates_give_the_hidden_states_of_the_layer(spec):
    model = made(spec)
    ((module, x),) = inputs_of(model, signal(), nn.RNNBase)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        hidden, _ = module(x[None])
    first, last = gates_of(model, signal())
    assert np.abs(last.hidden - hidden[0].numpy()).max() < 1e-5
    assert [layer.layer for layer in (first, last)] == [0, 1]
    assert {len(layer.hidden) for layer in (first, last)} == {FRAMES}
    assert [layer.residual for layer in (first, last)] == [False, False]
    for gate in last.activations.values():
        assert ((gate > 0) & (gate < 1)).all()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gates_in_another_order_give_other_states(kind):
    """The check above can fail."""
    torch.manual_seed(0)
    module, other = kind(3, 5), kind(3, 5)
    order = torch.arange(len(module.bias_ih_l0)).view(-1, 5)
    order[[0, 1]] = order[[1, 0]]
    turned = {name: value[order.flatten()] for name, value in module.state_dict().items()}
    other.load_state_dict(turned)
    x = torch.from_numpy(signal()).double()
    (right,), (wrong,) = layers_of(module, x), layers_of(other, x)
    hidden = module(x.float()[:, None])[0][:, 0].detach().numpy()
    assert np.abs(right.hidden - hidden).max() < 1e-5
    assert np.abs(wrong.hidden - hidden).max() > 1e-2


def test_a_hybrid_has_both_and_goes_on_beside_its_layers():
    model = made(HybridSpec(**SMALL, window=8))
    assert [layer.residual for layer in gates_of(model, signal())] == [True, True]
    assert len(attention_of(model, signal())) == 2


def transformer(positions, window=8):
    return TransformerSpec(**SMALL, window=window, positions=positions)


@pytest.mark.parametrize(
    "spec",
    [*map(transformer, ("rotary", "relative", "learned")), HybridSpec(**SMALL, window=8)],
    ids=["rotary", "relative", "learned", "hybrid"],
)
def test_weights_times_values_are_what_the_block_found(spec):
    model = made(spec)
    maps = attention_of(model, signal())
    at = np.arange(FRAMES)
    age = at[:, None] - at
    for block, found in zip(model.body.blocks, maps, strict=True):
        ((module, x),) = inputs_of_one(model, block.attention)
        with torch.no_grad():
            _, v = module.keys_values(x[None])  # (1, H, T, K)
            y = torch.from_numpy(found.weights).float() @ v[0]
            rebuilt = module.out(y.transpose(0, 1).flatten(1))
            assert (rebuilt - module(x[None])[0]).abs().max() < 1e-5
        assert found.weights.shape == (2, FRAMES, FRAMES)
        assert found.weights.sum(-1) == pytest.approx(np.ones((2, FRAMES)), abs=1e-6)
        assert (found.weights[:, (age < 0) | (age >= 8)] == 0).all()


def inputs_of_one(model, attention):
    seen = inputs_of(model, signal(), type(attention))
    return [(module, x) for module, x in seen if module is attention]


def test_a_decoder_of_tokens_shows_its_attention():
    spec = DecoderSpec(**SMALL, layers=2, window=8)
    model = made(spec, outputs=5, vocabulary=5)
    tokens = (np.arange(12) % 5).astype(np.float32)[:, None]
    found = attention_of(model, tokens)
    importance = attended_importance(found, 12)
    assert importance.sum() == pytest.approx(1)
    assert (importance > 0).all()


@pytest.mark.parametrize("length", [5, 20])
def test_an_encoder_shows_the_window_that_ends_at_the_decision(length):
    model = made(EncoderSpec(**SMALL, window=8, lookahead=2))
    frames = signal(length)
    found = attention_of(model, frames)
    assert [(part.first, part.row) for part in found] == [(length - 8, 5)] * 2
    x = F.pad(model.normalised(torch.from_numpy(frames[-8:])), (0, 0, 8 - min(8, length), 0))
    first = model.body.blocks[0]
    with torch.no_grad():
        y = first.norm1(model.body.embedded(x[None]))
        v = first.attention.qkv(y).unflatten(-1, (3, 2, -1))[0, :, 2].transpose(0, 1)  # (H, W, K)
        heads = torch.from_numpy(found[0].weights).float() @ v
        rebuilt = first.attention.out(heads.transpose(0, 1).flatten(1))
        assert (rebuilt - first.attention(y, slice(None))[0]).abs().max() < 1e-5
    importance = attended_importance(found, length)
    assert len(importance) == length
    assert (importance[: max(0, length - 8)] == 0).all()


@pytest.mark.parametrize(
    ("spec", "look", "says"),
    [
        (CNNSpec(channels=8, window=10), gates_of, "family cnn has no gates"),
        (CNNSpec(channels=8, window=10), attention_of, "family cnn has no attention"),
        (LSTMSpec(4), attention_of, "family lstm has no attention"),
        (transformer("rotary"), gates_of, "family transformer has no gates"),
        (ViTSpec(8, 8, heads=1, window=8), attention_of, "family vit is between patches"),
        (
            EncoderDecoderSpec(**SMALL, source=4, window=8), attention_of,
            "encoder-decoder goes two ways",
        ),
    ],
)  # fmt: skip
def test_what_a_family_lacks_is_one_line(spec, look, says):
    with pytest.raises(UsageError, match=says) as error:
        look(made(spec), signal())
    assert "\n" not in str(error.value)
    assert "--method occlusion" in str(error.value)


def test_a_map_is_bounded(monkeypatch):
    monkeypatch.setattr("edgeseq.train.inside.attention.MOST", FRAMES - 1)
    with pytest.raises(UsageError, match="20 frames is too large, at most 19"):
        attention_of(made(transformer("rotary")), signal())


def test_tokens_have_no_gradient():
    model = made(DecoderSpec(**SMALL, layers=1, window=8), outputs=5, vocabulary=5)
    target = Target(Output("logits", tuple("abcde")), 0)
    tokens = np.zeros((4, 1), np.float32)
    with pytest.raises(UsageError, match="tokens are numbers of a list"):
        gradient_times_input(model, tokens, target, tokens[0])


@pytest.mark.parametrize(
    "spec", [LSTMSpec(6), transformer("rotary"), CNNSpec(channels=8, window=10)]
)
def test_shares_add_up_to_what_the_score_differs_by(spec):
    model, frames, target = made(spec), signal(), Target(CLASSES, 2)
    baseline = frames.mean(0)
    shares = integrated_gradients(model, frames, target, baseline)
    ends = np.stack([frames, np.broadcast_to(baseline, frames.shape)])
    one, nothing = score(predictor(model), ends, target)
    assert abs(one - nothing) > 0.02
    assert shares.sum() == pytest.approx(one - nothing, rel=0.02)
    at_once = gradient_times_input(model, frames, target, baseline).sum()
    assert at_once != pytest.approx(one - nothing, rel=0.02), "else this shows nothing"


def test_a_rough_way_is_taken_in_smaller_steps(monkeypatch):
    """A fault: with the first number of steps alone they do not add up."""
    model, frames, target = made(CNNSpec(channels=8, window=10)), signal(), Target(CLASSES, 0)
    shares = integrated_gradients(model, frames, target, frames.mean(0))
    monkeypatch.setattr("edgeseq.train.inside.gradients.STEPS", (32,))
    rough = integrated_gradients(model, frames, target, frames.mean(0))
    assert abs(rough.sum() / shares.sum() - 1) > 0.1


def test_gradients_are_those_of_finite_differences():
    model, frames, target = made(LSTMSpec(6)), signal(), Target(CLASSES, 1)
    found = gradient_times_input(model, frames, target, np.zeros(INPUTS, np.float32))
    exactly = SequenceModel.double(made(LSTMSpec(6)))
    for frame, value in ((19, 0), (11, 2)):
        step = np.zeros((FRAMES, INPUTS))
        step[frame, value] = 1e-5
        with torch.no_grad():
            pair = exactly(torch.from_numpy(np.stack([frames + step, frames - step])))
        up, down = target.scores(pair[:, -1].numpy())
        slope = (up - down) / 2e-5
        assert found[frame, value] == pytest.approx(slope * frames[frame, value], rel=1e-3)


def test_looking_leaves_the_model_as_it_was():
    model = made(HybridSpec(**SMALL, window=8, dropout=0.5)).train()
    gates_of(model, signal()), attention_of(model, signal())
    gradient_times_input(model, signal(), Target(CLASSES, 0), signal()[0])
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def remembers(sign=1.0):
    """An LSTM whose one unit writes the first value where the second is set, and keeps it."""
    model = SequenceModel(LSTMSpec(1, layers=1), 2, 1).eval()
    lstm = model.body.lstm
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        lstm.weight_ih_l0[0, 1] = 24.0  # input gate: open where the second value is 1
        lstm.bias_ih_l0[0] = -12.0
        lstm.bias_ih_l0[1] = 12.0  # forget gate: keeps
        lstm.weight_ih_l0[2, 0] = sign  # candidate: the first value
        lstm.bias_ih_l0[3] = 12.0  # output gate: open
        model.body.head.weight[0, 0] = 1.0
    return model


def test_all_point_to_the_frame_that_is_remembered():
    frames = np.random.default_rng(2).normal(0, 0.5, (10, 2)).astype(np.float32)
    frames[:, 1] = 0
    frames[3] = 0.8, 1
    model, target = remembers(), Target(VALUE, 0)
    nothing = neutral(frames, frame_of())
    outside = occlude(predictor(model), frames, target, nothing, channels=2, width=1)
    gates = gated_importance(gates_of(model, frames))
    gradient = np.abs(gradient_times_input(model, frames, target, nothing)).sum(1)
    for importance in (outside.importance, gates, gradient):
        assert importance.argmax() == 3
        assert np.delete(importance, 3).max() < 0.02 * importance[3]


def test_a_forget_gate_that_closes_moves_the_blame():
    """A fault: the unit forgets everything at frame 6, where it writes anew."""
    frames = np.zeros((10, 2), np.float32)
    frames[3] = 0.8, 1
    frames[6] = 0.5, 1
    model = remembers()
    with torch.no_grad():
        model.body.lstm.weight_ih_l0[1, 1] = -24.0
    target, nothing = Target(VALUE, 0), np.zeros(2, np.float32)
    assert occlude(predictor(model), frames, target, nothing, width=1).importance.argmax() == 6
    assert gated_importance(gates_of(model, frames)).argmax() == 6


def frame_of():
    from edgeseq.contract import Frame

    return Frame(("value", "write"), ("V", ""), 10.0)
