"""Scales as fine as 16 bits allow: nothing saturates, nothing is coarser than 7 bits."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeseq.check.parity import compare
from edgeseq.errors import ConfigError
from edgeseq.graph.portable import dependences, saturating_pairs, wrapping_pairs
from edgeseq.graph.weights import subgraphs
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.fit import fit
from edgeseq.recipes import Quantization, load_recipe
from edgeseq.runtime import StreamModel
from edgeseq.workflows.evidence import frame_by_frame

FITTED = load_recipe("int8-dynamic")
SEVEN = replace(FITTED, quantize=replace(FITTED.quantize, fit_pairs=False))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("shape", [(1, 3), (7, 5), (64, 40), (1, 12, 48)])
def test_no_pair_saturates_and_no_scale_is_coarser_than_seven_bits(shape, per_channel):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        weights = (rng.normal(size=shape) * rng.lognormal(size=shape)).astype(np.float32)
        rounded, scale = fit(weights, per_channel=per_channel)
        assert saturating_pairs(rounded) == wrapping_pairs(rounded) == 0
        assert np.abs(rounded).max() <= 127
        largest = np.abs(weights).max(axis=-2) if per_channel else np.abs(weights).max()
        assert (scale <= largest / 64 * 1.02).all()  # rounding may cost a pair a step of 64
        error = np.abs(weights - rounded * scale[..., None, :])
        assert (error <= 0.505 * scale[..., None, :] + 1e-9).all()
        assert per_channel or np.ptp(scale) == 0


def test_scales_are_as_fine_as_can_be():
    """One large weight alone takes 8 bits; two of one sign take 7, of two signs 8."""
    weights = np.float32([[1, 1, 1], [0, 1, -1], [0, 0, 0.5]])
    rounded, scale = fit(weights)
    assert np.allclose(scale, [1 / 127, 1 / 64, 1 / 127])
    assert rounded.tolist() == [[127, 64, 127], [0, 64, -127], [0, 0, 64]]


def test_empty_columns_stay_empty():
    rounded, scale = fit(np.zeros((4, 2), np.float32))
    assert not rounded.any()
    assert (scale > 0).all()


@pytest.mark.parametrize(
    ("family", "graph"),
    [("lstm", "fp32"), *((family, graph) for family in ("gru", "transformer")
                         for graph in ("fp32", "step"))],
)  # fmt: skip
def test_every_weight_is_its_own_again(family, graph, tmp_path, request):
    """Weights in all places: of operators, of products, of the body of a Scan."""
    bundle = request.getfixturevalue(f"{family}_bundle")
    files = {"fitted": FITTED, "seven": SEVEN}
    weights = {}
    for name, recipe in files.items():
        quantize_file(bundle.file(graph), tmp_path / f"{name}.onnx", recipe)
        weights[name] = _unpacked(tmp_path / f"{name}.onnx")
    assert weights["fitted"].keys() == weights["seven"].keys()
    assert len(weights["fitted"]) >= 5
    for name, (integers, scale) in weights["fitted"].items():
        rough, rough_scale = weights["seven"][name]
        apart = np.abs(integers * scale - rough * rough_scale)
        assert (apart <= 0.51 * (scale + rough_scale)).all(), name  # each half a step from fp32
        assert (scale < 0.95 * rough_scale).mean() > 0.5, name
    assert dependences(onnx.load(tmp_path / "fitted.onnx")) == ()


def _unpacked(path):
    """Return integers `(..., K, N)` and scales that go with them, by weight."""
    model = onnx.load(path)
    bodies = [inner for node in model.graph.node for inner in subgraphs(node)]
    held = {item.name: item for graph in (model.graph, *bodies) for item in graph.initializer}
    return {
        name: (numpy_helper.to_array(item).astype(float),
               numpy_helper.to_array(held[name.replace("_quantized", "_scale")]))
        for name, item in held.items()
        if name.endswith("_quantized")
    }  # fmt: skip


@pytest.mark.parametrize("name", ["har-lstm", "glucose-transformer"])
def test_trained_models_are_less_noisy_for_the_same_bytes(name, tmp_path, request):
    from edgeseq.bundle import load_bundle

    bundle = load_bundle(request.config.rootpath / "tests" / "golden" / name)
    frames = np.ascontiguousarray(bundle.reference["frames"][None, :400], np.float32)
    expected = frame_by_frame(StreamModel.load(bundle.file("fp32")), frames)[0]
    noise = {}
    for kind, recipe in {"fitted": FITTED, "seven": SEVEN}.items():
        file = tmp_path / f"{kind}.onnx"
        quantize_file(bundle.file("fp32"), file, recipe)
        outputs = frame_by_frame(StreamModel.load(file), frames)[0]
        noise[kind] = compare(expected, outputs).noise
    assert noise["fitted"] < 0.9 * noise["seven"]
    sizes = [(tmp_path / f"{kind}.onnx").stat().st_size for kind in noise]
    assert sizes[0] == sizes[1]


def test_unsigned_weights_need_none_of_it():
    with pytest.raises(ConfigError, match="fit_pairs: is about s8 weights"):
        Quantization("dynamic", weights="u8", fit_pairs=True)
