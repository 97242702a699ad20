"""Static int8 is integer arithmetic on calibrated ranges, and ONNX Runtime runs it as such."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from export.small import Loop, frames_of, graph_of, model_of, relative_error, whole
from graph.handmade import FLOAT, save, value
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgeseq.bundle import Tolerance
from edgeseq.contract import METADATA_KEY
from edgeseq.errors import PromiseError, UsageError
from edgeseq.graph.census import count, optimised_graph
from edgeseq.graph.portable import dependences
from edgeseq.graph.weights import all_nodes
from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.file import quantize_file, quantize_model
from edgeseq.quantize.products import products
from edgeseq.quantize.ranges import Range
from edgeseq.quantize.static import calibrated_ranges, quantize_weights, with_ranges
from edgeseq.recipes import Calibration, Quantization, Recipe
from edgeseq.runtime import StreamModel, predict

GOLDEN = Path(__file__).parents[1] / "golden"
STATIC = Quantization("static")
RNG = np.random.default_rng(0)
WEIGHT, RECURRENT = (RNG.normal(size=shape).astype(np.float32) for shape in ((5, 8), (8, 8)))
BIAS = RNG.normal(size=8).astype(np.float32)
RANGES = {"W": Range(-1.3, 2.0), "R": Range(-0.9, 0.7)}
GRAPHS = {
    "any chunk": ({}, 1),
    "one frame": ({"frames": 1, "newest": True}, 1),
    "fixed": ({"frames": 5, "streams": 3}, 5),
}


def product(tmp_path, *, bias_first=False):
    """`x @ W + b`, and in a loop `s <- tanh(s @ R + x @ W + b)`."""
    names = ["bias", "product"] if bias_first else ["product", "bias"]
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["s", "R"], ["from_state"], "state"),
            helper.make_node("Add", ["from_state", "given"], ["sum"], "sum"),
            helper.make_node("Tanh", ["sum"], ["next_s"], "tanh"),
            helper.make_node("Identity", ["next_s"], ["every"], "every"),
        ],
        "step",
        [value("s", [1, "N", 8]), value("given", ["N", 8])],
        [value("next_s", [1, "N", 8]), value("every", [1, "N", 8])],
        [numpy_helper.from_array(RECURRENT, "R")],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["product"], "input"),
        helper.make_node("Add", names, ["y"], "add"),
        helper.make_node("Scan", ["s0", "y"], ["s1", "states"], body=body, num_scan_inputs=1),
    ]
    weights = [numpy_helper.from_array(WEIGHT, "W"), numpy_helper.from_array(BIAS, "bias")]
    state = [1, "N", 8]
    inputs = [value("x", ["T", "N", 5]), value("s0", state)]
    outputs = [value("y", ["T", "N", 8]), value("s1", state), value("states", ["T", *state])]
    return onnx.load(save(tmp_path / "product.onnx", nodes, inputs, outputs, weights))


def session(model, *, optimised=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def in_integers(x, weights, found, largest=64):
    """The product as an integer unit computes it."""
    scale = (found.high - found.low) / 255
    zero = round(-found.low / scale)
    steps = np.abs(weights).max(axis=0) / largest
    a = np.clip(np.round(x / np.float32(scale)) + zero, 0, 255).astype(np.int64) - zero
    b = np.round(weights / steps.astype(np.float32)).astype(np.int64)
    assert np.abs(b).max() == largest
    return (a @ b) * (scale * steps)


@pytest.mark.parametrize("optimised", [True, False])
@pytest.mark.parametrize("bias_first", [True, False])
def test_outputs_are_those_of_the_integer_arithmetic(tmp_path, optimised, bias_first):
    model = with_ranges(product(tmp_path, bias_first=bias_first), RANGES, STATIC)
    onnx.checker.check_model(model, full_check=True)
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, size=(6, 2, 5)).astype(np.float32)  # also beyond the range, to be clipped
    assert x.max() > RANGES["W"].high
    s = rng.uniform(-1, 1, size=(1, 2, 8)).astype(np.float32)
    y, s1, states = session(model, optimised=optimised).run(None, {"x": x, "s0": s})
    np.testing.assert_allclose(y, in_integers(x, WEIGHT, RANGES["W"]) + BIAS, rtol=1e-5, atol=1e-5)
    for frame, found in zip(y, states, strict=True):  # each step from the state it really had
        expected = np.tanh(in_integers(s, RECURRENT, RANGES["R"]) + frame)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        s = found
    np.testing.assert_array_equal(s1, states[-1])
    assert np.abs(y - (x @ WEIGHT + BIAS)).max() > 0.01


def test_both_products_become_integer_products_also_in_the_loop(tmp_path):
    onnx.save(with_ranges(product(tmp_path), RANGES, STATIC), tmp_path / "int8.onnx")
    graph = optimised_graph(tmp_path / "int8.onnx")
    census = count(graph)
    assert census.int8_weights == 1
    assert census.operators["MatMulIntegerToFloat"] == 2
    assert not {"MatMul", "Gemm", "DequantizeLinear"} & census.operators.keys()
    (scan,) = (node for node in graph.graph.node if node.op_type == "Scan")
    inside = {node.op_type for item in scan.attribute if item.HasField("g") for node in item.g.node}
    assert "MatMulIntegerToFloat" in inside


def test_a_vector_as_bias_would_stop_it(tmp_path, monkeypatch):
    """Why the bias is given the product's rank, or there were nothing to be done."""
    monkeypatch.setattr("edgeseq.quantize.static._keep_bias_apart", lambda *_: None)
    parts = take_apart(graph_of("gru", frames=5, streams=3))
    ranges = {part.weight: Range(-1.0, 1.0) for part in products(parts)}
    onnx.save(with_ranges(parts, ranges, STATIC), tmp_path / "int8.onnx")
    census = count(optimised_graph(tmp_path / "int8.onnx"))
    assert census.operators["Gemm"] == 4
    assert census.int8_weights < 0.2


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-3-layers", "transformer", "encoder-decoder"])
@pytest.mark.parametrize("case", GRAPHS)
def test_every_family_runs_in_int8_and_is_near(name, case, tmp_path):
    options, chunk = GRAPHS[case]
    model, graph = model_of(name), graph_of(name, **options)
    frames = frames_of(model, 3, 60)
    quantized = quantize_model(graph, STATIC, streams=list(frames_of(model, 4, 200, seed=1)))
    onnx.checker.check_model(quantized, full_check=True)
    onnx.save(quantized, tmp_path / "int8.onnx")
    census = count(optimised_graph(tmp_path / "int8.onnx"))
    assert census.int8_weights == 1
    integers = ("MatMulIntegerToFloat", "QLinearMatMul")
    weights = len(products(take_apart(graph)))
    assert sum(census.operators.get(kind, 0) for kind in integers) == weights
    assert not {"LSTM", "GRU", "Gemm", "FusedGemm", "DequantizeLinear"} & census.operators.keys()
    outputs, _ = Loop(quantized).run(frames, [chunk] * (60 // chunk))
    assert 1e-4 < relative_error(outputs, whole(model, frames)) < 0.3


@pytest.mark.parametrize("name", ["lstm", "gru"])
@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8))
@settings(max_examples=10, deadline=None)
def test_any_chunk_and_any_batch_round_alike(name, cuts):
    """Dynamic scales are one a call: there other frames and streams decide how one is rounded."""
    frames = frames_of(model_of(name), 3, sum(cuts))
    static, dynamic = _loops(name)
    alone, _ = static.run(frames[1:2], [1] * sum(cuts))
    together, _ = static.run(frames, cuts)
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-5, atol=1e-5)
    if sum(cuts) > 20:
        alone, _ = dynamic.run(frames[1:2], [1] * sum(cuts))
        together, _ = dynamic.run(frames, cuts)
        assert np.abs(together[1:2] - alone).max() > 1e-4


_MADE: dict[str, tuple[Loop, Loop]] = {}


def _loops(name):
    if name not in _MADE:
        streams = list(frames_of(model_of(name), 4, 200, seed=1))
        _MADE[name] = tuple(
            Loop(quantize_model(graph_of(name), Quantization(method), streams=streams))
            for method in ("static", "dynamic")
        )
    return _MADE[name]


def test_rolling_state_keeps_a_trained_lstm_that_zero_state_breaks(tmp_path):
    """The golden bundle learned on real recordings; its frames are real, too."""
    frames = np.load(GOLDEN / "har-lstm" / "reference.npz")["frames"]
    source = GOLDEN / "har-lstm" / "model.onnx"
    expected = predict(StreamModel.load(source), frames[None, 512:])
    sqnr = {}
    for state in ("rolling", "zero"):
        how = Quantization("static", calibration=Calibration(ranges="percentile", state=state))
        recipe = Recipe("mine", "", Tolerance(1, 1), quantize=how)
        quantize_file(source, tmp_path / "int8.onnx", recipe, streams=[frames[:512]])
        outputs = predict(StreamModel.load(tmp_path / "int8.onnx"), frames[None, 512:])
        sqnr[state] = 10 * np.log10(np.sum(expected**2) / np.sum((outputs - expected) ** 2))
    assert sqnr["rolling"] > 30
    assert sqnr["zero"] < 15


def test_ranges_are_read_as_the_recipe_says():
    streams = list(frames_of(model_of("gru"), 4, 200))
    parts, widths = take_apart(graph_of("gru")), {}
    for ranges in ("minmax", "percentile"):
        how = Quantization("static", calibration=Calibration(ranges=ranges, percentile=90))
        found = calibrated_ranges(parts, how, streams)
        assert found.keys() == {"W0", "R0", "W1", "R1", "head"}
        widths[ranges] = {name: item.high - item.low for name, item in found.items()}
    assert all(0 < widths["percentile"][name] < width for name, width in widths["minmax"].items())


def test_weights_have_seven_bits_a_column_or_what_the_recipe_says():
    values = np.array([[0.5, -2.0, 0.0], [0.1, 1.0, 0.0]], np.float32)
    found, scale = quantize_weights(values, STATIC)
    assert found.tolist() == [[64, -64, 0], [13, 32, 0]]
    assert scale.tolist() == pytest.approx([0.5 / 64, 2 / 64, 1])
    found, scale = quantize_weights(values, Quantization("static", per_channel=False))
    assert found.tolist() == [[16, -64, 0], [3, 32, 0]]
    assert scale == pytest.approx(2 / 64)
    full, _ = quantize_weights(values, Quantization("static", reduce_range=False))
    assert np.abs(full.astype(int)).max() == 127


def test_scales_are_as_fine_as_two_neighbours_allow(tmp_path):
    """Where both are large and of one sign, 7 bits; else up to 8, and no sum leaves 16 bits."""
    values = np.array([[1.0, 1.0], [1.0, -1.0], [0.5, 0.25]], np.float32)
    how = Quantization("static", fit_pairs=True)
    found, scale = quantize_weights(values, how)
    assert found[:2].tolist() == [[64, 127], [64, -127]]
    assert scale.tolist() == pytest.approx([1 / 64, 1 / 127])
    _, scale = quantize_weights(values, replace(how, per_channel=False))
    assert scale == pytest.approx(1 / 64)
    assert scale.shape == ()
    onnx.save(with_ranges(product(tmp_path), RANGES, how), tmp_path / "int8.onnx")
    assert count(optimised_graph(tmp_path / "int8.onnx")).int8_weights == 1
    assert not dependences(onnx.load(tmp_path / "int8.onnx"))
    full = with_ranges(product(tmp_path), RANGES, Quantization("static", reduce_range=False))
    assert dependences(full)


def test_one_scale_a_tensor_runs_in_int8_too(tmp_path):
    how = Quantization("static", per_channel=False)
    onnx.save(with_ranges(product(tmp_path), RANGES, how), tmp_path / "int8.onnx")
    assert count(optimised_graph(tmp_path / "int8.onnx")).int8_weights == 1


def test_floats_of_the_weights_are_gone_and_the_source_stays():
    graph = graph_of("gru")
    before = graph.SerializeToString()
    streams = list(frames_of(model_of("gru"), 1, 30))
    quantized = quantize_model(graph, STATIC, streams=streams)
    assert graph.SerializeToString() == before
    bodies = [a.g for node in all_nodes(quantized.graph) for a in node.attribute if a.HasField("g")]
    held = [item for part in (quantized.graph, *bodies) for item in part.initializer]
    assert not [item.name for item in held if item.data_type == FLOAT and len(item.dims) == 2]
    assert {"W0_quantized", "R1_quantized"} <= {item.name for item in held}


def test_weights_of_other_schemes_are_left_to_them(tmp_path):
    how = Quantization("static", nodes={"R*": "fp32", "head": "dynamic"})
    quantized = quantize_model(
        graph_of("lstm", frames=1), how, streams=list(frames_of(model_of("lstm"), 1, 40))
    )
    onnx.save(quantized, tmp_path / "mixed.onnx")
    census = count(optimised_graph(tmp_path / "mixed.onnx"))
    assert census.operators["MatMulIntegerToFloat"] == 2
    assert census.operators["DynamicQuantizeMatMul"] == 1
    assert len(census.float_nodes) == 2


def test_without_recordings_or_from_outside_a_loop_nothing_is_calibrated(tmp_path):
    with pytest.raises(UsageError, match="static needs recordings to calibrate on"):
        quantize_model(graph_of("lstm"), STATIC)
    streams = list(frames_of(model_of("gru"), 2, 30))
    with pytest.raises(PromiseError, match=r"weights R0, R1 multiply lies inside a loop"):
        quantize_model(graph_of("gru", form="sequence"), STATIC, streams=streams)
    straight = quantize_model(graph_of("transformer", form="sequence"), STATIC, streams=streams)
    assert "QuantizeLinear" in {node.op_type for node in straight.graph.node}


def test_quantizing_twice_gives_the_same_bytes():
    streams = list(frames_of(model_of("lstm"), 2, 30))
    first, again = (quantize_model(graph_of("lstm"), STATIC, streams=streams) for _ in range(2))
    assert first.SerializeToString() == again.SerializeToString()
    assert METADATA_KEY in {prop.key for prop in first.metadata_props}
