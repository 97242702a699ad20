"""Multiply-accumulates of a frame against products worked out by hand."""

import onnx
import pytest
from graph.handmade import lstm_and_head, save, tensor, value
from onnx import helper

from edgeseq.graph.census import count, optimised_graph, take_census
from edgeseq.graph.macs import multiplications


def found(path):
    products = multiplications(onnx.load(path))
    return products and {item.node: (item.macs, item.integer, item.weights) for item in products}


def test_weights_of_an_lstm_are_used_once_a_frame(tmp_path):
    assert found(lstm_and_head(tmp_path / "m.onnx")) == {
        "lstm": (48 + 64, False, True),
        "matmul": (8, False, True),
    }


def test_a_weight_counts_once_a_frame_and_by_rows(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")]
    values = [value("x", (5, "N", 3))], [value("y", (5, "N", 2))]
    path = save(tmp_path / "m.onnx", nodes, *values, [tensor("w", 3, 2)])
    assert found(path) == {"matmul": (5 * 3 * 2, False, True)}


def test_gemm_counts_the_side_that_is_summed_over(tmp_path):
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], "gemm", transA=1)]
    values = [value("x", (3, 4))], [value("y", (4, 2))]
    path = save(tmp_path / "m.onnx", nodes, *values, [tensor("w", 3, 2)])
    assert found(path) == {"gemm": (4 * 3 * 2, False, True)}


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_convolution_counts_weights_at_every_place(tmp_path, kind):
    """2 channels to 3, 4 wide. Conv: 5 places of 8; transposed: 8 places in."""
    shape = (3, 2, 4) if kind == "Conv" else (2, 3, 4)
    nodes = [helper.make_node(kind, ["x", "w"], ["y"], "conv")]
    values = [value("x", (1, 2, 8))], [value("y", (1, 3, None))]
    path = save(tmp_path / "m.onnx", nodes, *values, [tensor("w", *shape)])
    places = 5 if kind == "Conv" else 8
    assert found(path) == {"conv": (places * 2 * 3 * 4, False, True)}


def test_a_loop_over_frames_uses_its_weights_once_a_frame(gru_bundle):
    from edgeseq.quantize.apart import take_apart

    whole = onnx.load(gru_bundle.file("fp32"))
    apart = take_apart(whole)
    assert any(node.op_type == "Scan" for node in apart.graph.node)
    by_model = [sum(item.macs for item in multiplications(model)) for model in (whole, apart)]
    inputs, hidden, classes = 4, 12, 3
    expected = 3 * hidden * (inputs + 3 * hidden) + hidden * classes
    assert by_model == [expected, expected]


@pytest.mark.parametrize("other", ["Identity", "MatMul"])
def test_what_one_branch_multiplies_is_no_frames_and_what_both_do_is_not_known(other, tmp_path):
    def branch(name, kind):
        inputs = ["y", "v"] if kind == "MatMul" else ["y"]
        node = helper.make_node(kind, inputs, [name], f"in {name}")
        return helper.make_graph([node], name, [], [value(name, None)])

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], "always"),
        helper.make_node(
            "If", ["c"], ["z"], then_branch=branch("t", "MatMul"), else_branch=branch("e", other)
        ),
    ]
    values = [value("x", (1, 3)), value("c", (), onnx.TensorProto.BOOL)], [value("z", None)]
    path = save(tmp_path / "m.onnx", nodes, *values, [tensor("w", 3, 2), tensor("v", 2, 2)])
    once = {"always": (6, False, True), "in t": (0, False, True)}
    assert found(path) == (once if other == "Identity" else None)


def test_attention_counts_a_full_ring(transformer_bundle):
    """Per block `window x width` for scores and again for values; a chunk adds its own frame."""
    layers, window, width = 2, 16, 16
    for variant, keys in (("fp32", window + 1), ("step", window)):
        model = optimised_graph(transformer_bundle.file(variant))
        between = [item for item in multiplications(model) if not item.weights]
        assert sum(item.macs for item in between) == layers * keys * width * 2
        assert not any(item.integer for item in between)
        weights = [item.macs for item in multiplications(model) if item.weights]
        census = take_census(transformer_bundle.file(variant))
        assert census.macs == sum(weights) + layers * keys * width * 2


def test_attention_of_heads_side_by_side(tmp_path):
    """4 query heads of 3 share 2 of keys; 5 keys before and 1 new one."""
    node = helper.make_node(
        "Attention",
        ["q", "k", "v", "", "pk", "pv"],
        ["y", "k2", "v2"],
        "attention",
        q_num_heads=4,
        kv_num_heads=2,
    )
    past = (1, 2, 5, 3)
    inputs = [
        value("q", (1, 1, 12)),
        value("k", (1, 1, 6)),
        value("v", (1, 1, 6)),
        value("pk", past),
        value("pv", past),
    ]
    outputs = [value("y", (1, 1, 12)), value("k2", (1, 2, 6, 3)), value("v2", (1, 2, 6, 3))]
    path = save(tmp_path / "m.onnx", [node], inputs, outputs, opset=23)
    assert found(path) == {"attention": (2 * 4 * 6 * 3, False, False)}


def test_what_no_rule_counts_is_not_known(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], "matmul"),
        helper.make_node("Einsum", ["y", "w"], ["z"], "einsum", equation="nk,jk->nj"),
    ]
    values = [value("x", ("N", 3))], [value("z", ("N", 3))]
    path = save(tmp_path / "m.onnx", nodes, *values, [tensor("w", 3, 3)])
    assert found(path) is None
    census = take_census(path)
    assert (census.int8_macs, census.macs) == (None, None)


def test_a_graph_that_does_not_run_is_not_known():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")]
    graph = helper.make_graph(nodes, "g", [], [], [tensor("w", 3, 2)])
    assert count(helper.make_model(graph)).macs is None
