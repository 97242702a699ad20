"""Shares are checked against counts done by hand."""

import numpy as np
import onnx
import pytest
from graph.handmade import lstm_and_head, save, tensor, value
from onnx import TensorProto, helper

from edgeseq.errors import ModelError
from edgeseq.graph.census import count, take_census
from edgeseq.graph.weights import WeightUse, bits, operators, weight_uses


def uses(path):
    return weight_uses(onnx.load(path))


def test_lstm_weights_count_and_its_bias_and_state_do_not(tmp_path):
    assert uses(lstm_and_head(tmp_path / "m.onnx")) == (
        WeightUse("lstm", "LSTM", 48 + 64, 0, False, ("W", "R"), ("W", "R")),
        WeightUse("matmul", "MatMul", 8, 0, False, ("head",), ("head",)),
    )


def test_weights_that_arrive_through_other_nodes_count_in_full(tmp_path):
    lstm, _ = uses(lstm_and_head(tmp_path / "m.onnx", folded=False))
    assert lstm.elements == 48 + 64
    assert (lstm.values, lstm.sources) == (("W", "R"), ("W", "R_a"))


def test_product_of_two_activations_holds_no_weights(tmp_path):
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"])]
    square = ("N", "N")
    values = [value("a", square), value("b", square)]
    assert uses(save(tmp_path / "m.onnx", nodes, values, [value("c", square)])) == ()


def test_int8_storage_that_is_unpacked_to_floats_is_stored_but_does_not_run(tmp_path):
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["real"], "unpack"),
        helper.make_node("MatMul", ["x", "real"], ["y"], "matmul"),
    ]
    weights = [tensor("w", 3, 5, dtype=np.int8), tensor("scale")]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ("N", 3))], [value("y", ("N", 5))], weights)
    assert uses(path) == (WeightUse("matmul", "MatMul", 15, 15, False, ("real",), ("w",)),)


@pytest.mark.parametrize(("level", "int8"), [(4, True), (0, False)])
def test_four_bit_weights_run_in_integers_only_at_accuracy_level_4(tmp_path, level, int8):
    node = helper.make_node(
        "MatMulNBits",
        ["x", "packed", "scales"],
        ["y"],
        "nbits",
        domain="com.microsoft",
        K=32,
        N=6,
        bits=4,
        block_size=32,
        accuracy_level=level,
    )
    weights = [tensor("packed", 6, 1, 16, dtype=np.uint8), tensor("scales", 6)]
    values = [value("x", ("N", 32))], [value("y", ("N", 6))]
    path = save(tmp_path / "m.onnx", [node], *values, weights, contrib=True)
    assert uses(path) == (
        WeightUse("nbits", "MatMulNBits", 32 * 6, 32 * 6, int8, ("packed",), ("packed",)),
    )


def test_subgraphs_use_the_weights_around_them(tmp_path):
    branches = {
        f"{branch}_branch": helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], [branch], f"in {branch}")],
            branch,
            [],
            [value(branch, None)],
        )
        for branch in ("then", "else")
    }
    nodes = [helper.make_node("If", ["which"], ["y"], "if", **branches)]
    values = [value("which", (), TensorProto.BOOL), value("x", (1, 3))]
    path = save(tmp_path / "m.onnx", nodes, values, [value("y", None)], [tensor("w", 3, 2)])
    assert {(use.node, use.elements) for use in uses(path)} == {("in then", 6), ("in else", 6)}
    assert operators(onnx.load(path)) == {"MatMul": 2, "If": 1}


def test_share_is_by_element_and_names_what_stayed_float():
    nodes = [
        helper.make_node("DynamicQuantizeMatMul", ["x", "a", "s"], ["y"], "fast"),
        helper.make_node("Gemm", ["y", "b", "bias"], ["z"], "slow"),
    ]
    weights = [tensor("a", 3, 4, dtype=np.int8), tensor("s", 1), tensor("b", 4, 1)]
    graph = helper.make_graph(nodes, "g", [], [], [*weights, tensor("bias", 1)])
    census = count(helper.make_model(graph), "9.9")
    assert census.int8_weights == 12 / (12 + 4)
    assert census.float_nodes == ("slow",)
    assert census.operators == {"DynamicQuantizeMatMul": 1, "Gemm": 1}
    assert census.onnxruntime == "9.9"


def test_graph_without_weights_is_not_int8():
    assert count(helper.make_model(helper.make_graph([], "g", [], []))).int8_weights == 0


def test_census_is_of_the_optimised_graph(tmp_path):
    """ONNX Runtime folds the Concat away, so the weights are seen whole."""
    census = take_census(lstm_and_head(tmp_path / "m.onnx", folded=False))
    assert "Concat" not in census.operators
    assert census.operators["LSTM"] == 1
    assert census.int8_weights == 0
    assert census.float_nodes[0] == "lstm"


def test_census_of_a_broken_file_is_one_line(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot load") as caught:
        take_census(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (TensorProto.FLOAT, 32),
        (TensorProto.INT8, 8),
        (TensorProto.BFLOAT16, 16),
        (TensorProto.INT64, 64),
        (TensorProto.UINT4, 4),
        (TensorProto.FLOAT4E2M1, 4),
        (TensorProto.FLOAT8E4M3FN, 8),
    ],
)
def test_bits_of_an_element(dtype, size):
    assert bits(dtype) == size
