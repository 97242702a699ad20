"""Every reason for floats, each in a file that was made for it."""

import json

import numpy as np
import pytest
from graph.handmade import lstm_and_head, save, tensor, value
from onnx import TensorProto, helper

from edgeseq.errors import PromiseError
from edgeseq.graph.census import take_census
from edgeseq.graph.inspect import inspect_model
from edgeseq.graph.reasons import TWO_ACTIVATIONS, UNPACKED
from edgeseq.measured import FOLDED, UNFUSED
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_recipe
from edgeseq.report.inspect import inspection_text


def lstm_of_integers(path, unpack):
    """An LSTM of 3 inputs and 4 units whose weights are stored as int8."""
    kinds = {"W": (1, 16, 3), "R": (1, 16, 4)}
    nodes = [node for name in kinds for node in unpack(name)]
    inputs = ["x", "W", "R"]
    nodes.append(helper.make_node("LSTM", inputs, ["", "last"], "lstm", hidden_size=4))
    weights = [tensor(f"{name}_int8", *shape, dtype=np.int8) for name, shape in kinds.items()]
    values = [value("x", ("T", "N", 3))], [value("last", (1, "N", 4))]
    return save(path, nodes, *values, [*weights, tensor("scale")])


def by_dequantizing(name):
    yield helper.make_node("DequantizeLinear", [f"{name}_int8", "scale"], [name], f"unpack {name}")


def by_hand(name):
    yield helper.make_node("Cast", [f"{name}_int8"], [f"{name}_real"], to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [f"{name}_real", "scale"], [name])


UNPACKING = pytest.mark.parametrize(
    ("unpack", "reason"), [(by_dequantizing, UNFUSED), (by_hand, FOLDED)]
)


@UNPACKING
def test_integers_that_become_floats(tmp_path, unpack, reason):
    path = lstm_of_integers(tmp_path / "m.onnx", unpack)
    census = take_census(path)
    assert census.int8_weights == census.int8_macs == 0
    assert census.reasons == census.in_name_only == {"lstm": reason}
    inspection = inspect_model(path)
    assert inspection.stored_int8 == 1
    assert json.loads(json.dumps(inspection.to_json()))["optimised"]["reasons"] == {"lstm": reason}
    assert f"in floats: lstm: {reason}" in inspection_text(inspection)


@UNPACKING
def test_quantizing_integers_in_name_only_is_refused(tmp_path, unpack, reason):
    source, target = lstm_of_integers(tmp_path / "m.onnx", unpack), tmp_path / "int8.onnx"
    with pytest.raises(PromiseError, match=f"in name only.*lstm: {reason}"):
        quantize_file(source, target, load_recipe("int8-dynamic"))
    assert not target.exists()


def test_a_share_that_would_do_does_not_excuse_a_folded_weight(tmp_path):
    """A head of 10 x 500 runs in int8: 98 % of the weights, above the 90 % that are asked for."""
    path = tmp_path / "m.onnx"
    nodes = [
        *by_hand("a"),
        helper.make_node("MatMul", ["x", "a"], ["y"], "folded"),
        helper.make_node("MatMul", ["y", "b"], ["z"], "head"),
    ]
    weights = [tensor("a_int8", 10, 10, dtype=np.int8), tensor("scale"), tensor("b", 10, 500)]
    save(path, nodes, [value("x", ("N", 10))], [value("z", ("N", 500))], weights)
    with pytest.raises(PromiseError, match=rf"name only: 2% .*\(folded: {FOLDED}\)"):
        quantize_file(path, tmp_path / "int8.onnx", load_recipe("int8-dynamic"))


def test_what_onnxruntime_makes_integers_of_counts_as_integers(tmp_path):
    """It fuses DequantizeLinear and MatMul of constant weights into MatMulNBits."""
    nodes = [*by_dequantizing("w"), helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")]
    weights = [tensor("w_int8", 3, 5, dtype=np.int8), tensor("scale")]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ("N", 3))], [value("y", ("N", 5))], weights)
    census = take_census(path)
    if "MatMulNBits" in census.operators:
        assert (census.int8_weights, census.int8_macs, census.reasons) == (1, 1, {})
    else:
        assert set(census.in_name_only.values()) == {UNFUSED}


def test_four_bits_below_the_accuracy_level_are_said_to_be_unpacked(tmp_path):
    node = helper.make_node(
        "MatMulNBits", ["x", "packed", "scales"], ["y"], "nbits", domain="com.microsoft",
        K=32, N=6, bits=4, block_size=32,
    )  # fmt: skip
    weights = [tensor("packed", 6, 1, 16, dtype=np.uint8), tensor("scales", 6)]
    values = [value("x", ("N", 32))], [value("y", ("N", 6))]
    census = take_census(save(tmp_path / "m.onnx", [node], *values, weights, contrib=True))
    assert census.reasons == {"nbits": UNPACKED}
    assert census.in_name_only == {}
    assert census.macs == 32 * 6


def test_operators_without_an_integer_kernel(gru_bundle):
    reasons = take_census(gru_bundle.file("fp32")).reasons
    assert list(reasons.values()).count("ONNX Runtime has no integer GRU") == 2


def test_weights_that_are_made_when_the_file_is_loaded(tmp_path):
    census = take_census(lstm_and_head(tmp_path / "m.onnx", folded=False))
    assert census.reasons == {
        "lstm": "its weights are made by Concat, and recipes take initializers only",
        "matmul": "its weights are fp32 in the file",
    }


def test_products_of_two_activations(transformer_bundle):
    census = take_census(transformer_bundle.file("step"))
    assert list(census.reasons.values()).count(TWO_ACTIVATIONS) == 2
    assert census.float_nodes == tuple(
        node for node, reason in census.reasons.items() if reason != TWO_ACTIVATIONS
    )


def test_every_float_node_has_a_reason(lstm_bundle, gru_bundle, transformer_bundle):
    for bundle in (lstm_bundle, gru_bundle, transformer_bundle):
        for name in bundle.manifest.variants:
            census = take_census(bundle.file(name))
            assert set(census.float_nodes) <= set(census.reasons)


def test_half_precision_is_called_by_its_name(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")]
    half = TensorProto.FLOAT16
    values = [value("x", ("N", 3), half)], [value("y", ("N", 2), half)]
    path = save(tmp_path / "m.onnx", nodes, *values, [tensor("w", 3, 2, dtype=np.float16)])
    assert set(take_census(path).reasons.values()) <= {
        "its weights are fp16 in the file",
        "its weights are made by ONNX Runtime when it loads the file",
    }
