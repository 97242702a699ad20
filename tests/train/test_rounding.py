"""What is rounded in training is what ONNX Runtime rounds; gradients pass as if it were not."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from edgeseq.errors import UsageError
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.fit import fit
from edgeseq.recipes import Quantization, load_recipe
from edgeseq.train.rounding import blocks, columns, exact, pairs, rounding_of, signed, unsigned


def runtime_rounds(frame):
    """Return `frame` `(K,)` through ONNX Runtime's `DynamicQuantizeLinear` and back."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["level", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["level", "scale", "zero"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["K"]) for name in "xy")
    graph = helper.make_graph(nodes, "round", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": frame})[0]


RNG = np.random.default_rng(0)
FRAMES = {
    "both signs": RNG.normal(size=33),
    "positive": RNG.uniform(2, 3, 20),
    "negative": RNG.uniform(-9, -4, 7),
    "one value": np.array([0.3]),
    "zeros": np.zeros(5),
    "ties": np.arange(-4, 252) / 2 + 0.25,
    "tiny": RNG.normal(size=12) * 1e-30,
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frames_are_rounded_as_onnx_runtime_does(frame):
    frame = frame.astype(np.float32)
    rounded = unsigned(torch.from_numpy(frame)).numpy()
    np.testing.assert_array_equal(rounded, runtime_rounds(frame))
    assert len(set(rounded)) > 1 or len(set(frame)) == 1, "some levels are left"


def test_every_frame_of_every_stream_has_its_own_scale():
    frames = torch.randn(3, 4, 8) * torch.tensor([1e-3, 1, 1e3])[:, None, None]
    together = unsigned(frames)
    for stream in range(3):
        for time in range(4):
            assert torch.equal(together[stream, time], unsigned(frames[stream, time]))


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-per-tensor"])
def test_weights_are_those_of_the_file(name, lstm_bundle, tmp_path):
    """Of all five, gates included: ONNX's order of gates changes no scale."""
    recipe = load_recipe(name)
    quantize_file(lstm_bundle.file("fp32"), tmp_path / "int8.onnx", recipe)
    fp32, int8 = (
        {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(file).graph.initializer}
        for file in (lstm_bundle.file("fp32"), tmp_path / "int8.onnx")
    )
    for weight in ("W0", "R0", "W1", "R1", "head"):
        matrix = fp32[weight].T if weight == "head" else fp32[weight][0]  # (M, K)
        levels = int8[f"{weight}_quantized"].astype(np.float32).reshape(matrix.shape[::-1])
        stored = levels * int8[f"{weight}_scale"].reshape(1, -1)  # (K, M)
        rounded = rounding_of(recipe.quantize, weight).weight(torch.from_numpy(matrix.copy()))
        np.testing.assert_array_equal(rounded.numpy(), stored.T)
        assert np.abs(rounded.numpy() - matrix).max() > 0


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (7, 12), (33, 20), (64, 80)])
def test_fitted_scales_are_those_of_the_quantizer(shape, per_channel):
    for seed in range(5):
        torch.manual_seed(seed)
        weight = torch.randn(shape) * torch.rand(shape[0], 1)
        levels, scales = fit(weight.numpy().T, per_channel=per_channel)
        expected = (levels.astype(np.float32) * scales).T
        np.testing.assert_array_equal(pairs(weight, per_channel=per_channel).numpy(), expected)


@pytest.mark.parametrize(
    "round_",
    [
        lambda x: columns(x, largest=64, per_channel=True),
        lambda x: columns(x, largest=127, per_channel=False),
        lambda x: pairs(x, per_channel=True),
        lambda x: blocks(x, bits=4, size=16),
        lambda x: signed(x, size=16),
        unsigned,
    ],
)
def test_gradients_pass_as_if_nothing_was_rounded(round_):
    x = torch.randn(5, 40, requires_grad=True)
    rounded = round_(x)
    assert not torch.equal(rounded, x)
    gradient = torch.randn(5, 40)
    (rounded * gradient).sum().backward()
    assert torch.equal(x.grad, gradient)


def test_zeros_stay_zeros():
    zeros = torch.zeros(3, 20)
    for rounded in (
        columns(zeros, largest=64, per_channel=True),
        pairs(zeros, per_channel=True),
        blocks(zeros, bits=4, size=16),
        signed(zeros, size=16),
    ):
        assert torch.equal(rounded, zeros)


def test_each_weight_follows_its_scheme():
    how = Quantization("weights", bits=4, block=32, nodes={"head": "fp32", "R?": "dynamic"})
    weight = torch.randn(8, 20)
    assert rounding_of(how, "head").weight is exact
    assert rounding_of(how, "head").frames is exact
    assert rounding_of(how, "R1").frames is unsigned
    assert torch.equal(rounding_of(how, "W0").weight(weight), blocks(weight, bits=4, size=32))
    assert torch.equal(rounding_of(how, "W0").frames(weight), signed(weight, size=32))


@pytest.mark.parametrize(
    "how",
    [
        Quantization("half"),
        Quantization("static"),
        Quantization("dynamic", weights="u8"),
        Quantization("dynamic", nodes={"head": "static"}),
    ],
)
def test_arithmetic_that_is_not_known_is_refused(how):
    with pytest.raises(UsageError, match=r"cannot be trained for .* arithmetic \(head\)") as error:
        rounding_of(how, "head")
    assert "\n" not in str(error.value)
