"""An LSTM or a GRU in parts is the operator, and its weights keep their names."""

from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from export.small import Loop, frames_of, graph_of, loop_of, model_of, relative_error, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseq.bundle import Tolerance
from edgeseq.errors import PromiseError
from edgeseq.graph.weights import weight_uses
from edgeseq.quantize import apart
from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.products import products, weight_names
from edgeseq.recipes import Quantization, Recipe, load_recipe

RECIPE = load_recipe("int8-dynamic")
NAMES = ["gru", "gru-3-layers", "lstm", "lstm-1-layer", "lstm-3-layers"]
CHUNKS = (1, 1, 7, 1, 20)
ONES = (1,) * 30
GRAPHS = {
    "any chunk": ({}, CHUNKS),
    "one frame": ({"frames": 1}, ONES),
    "fixed": ({"frames": 5, "streams": 3}, (5,) * 6),
    "sequence": ({"form": "sequence"}, (30,)),
    "sequence of one": ({"form": "sequence", "frames": 1}, (1,)),
}


def layers_of(name):
    return int(name.split("-")[1]) if "-" in name else 2


def operator_of(name):
    return name.split("-")[0].upper()


def kinds(graph):
    return {node.op_type for node in graph.graph.node}


@cache
def parts_of(name, **options):
    parts = take_apart(graph_of(name, **options))
    onnx.checker.check_model(parts, full_check=True)
    return parts


def quantized(graph, folder, how=RECIPE.quantize):
    onnx.save(graph, folder / "fp32.onnx")
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    census = quantize_file(folder / "fp32.onnx", folder / "int8.onnx", recipe)
    return census, onnx.load(folder / "int8.onnx")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", GRAPHS)
def test_parts_are_the_whole(name, case):
    options, cuts = GRAPHS[case]
    model, parts = model_of(name), parts_of(name, **options)
    frames = frames_of(model, 3, sum(cuts))
    assert operator_of(name) in kinds(graph_of(name, **options))
    assert operator_of(name) not in kinds(parts)
    assert ("Scan" in kinds(parts)) == ("one" not in case)
    outputs, _ = Loop(parts).run(frames, cuts)
    assert relative_error(outputs, whole(model, frames)) <= 2e-6


@pytest.mark.parametrize("name", ["gru", "lstm"])
@settings(deadline=None, max_examples=10)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    streams=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_any_cut_from_any_state_is_the_operators(name, cuts, streams, seed):
    frames = frames_of(model_of(name), streams, sum(cuts), seed)
    rng = np.random.default_rng(seed)
    operator, parts = loop_of(name), loop_of_parts(name)
    state = {
        key: rng.uniform(-1, 1, value.shape).astype(np.float32)
        for key, value in operator.fresh(streams).items()
    }
    expected, expected_state = operator.run(frames, cuts, state)
    outputs, after = parts.run(frames, cuts, state)
    assert relative_error(outputs, expected) <= 1e-5
    for key, value in expected_state.items():
        np.testing.assert_allclose(after[key], value, atol=1e-5)


@cache
def loop_of_parts(name):
    return Loop(parts_of(name))


@pytest.mark.parametrize("name", ["gru", "gru-3-layers"])
@pytest.mark.parametrize("case", GRAPHS)
def test_a_gru_in_int8_is_near(name, case, tmp_path):
    options, cuts = GRAPHS[case]
    model = model_of(name)
    frames = frames_of(model, 3, sum(cuts))
    census, graph = quantized(graph_of(name, **options), tmp_path)
    noise = relative_error(Loop(graph).run(frames, cuts)[0], whole(model, frames))
    assert 1e-4 < noise < 0.08
    assert census.int8_weights == 1
    assert census.operators["DynamicQuantizeMatMul"] == 2 * layers_of(name) + 1
    assert not {"GRU", "MatMul", "Gemm", "MatMulInteger"} & census.operators.keys()


@pytest.mark.parametrize("case", GRAPHS)
@pytest.mark.parametrize("name", ["gru", "lstm-3-layers"])
def test_weights_keep_their_names_in_every_form(name, case):
    """Recipes and sensitivities speak of them; the operator holds each turned on its side."""
    graph = graph_of(name, **GRAPHS[case][0])
    held = {item.name: onnx.numpy_helper.to_array(item) for item in graph.graph.initializer}
    found = products(parts_of(name, **GRAPHS[case][0]))
    layers = layers_of(name)
    expected = [f"{letter}{layer}" for layer in range(layers) for letter in "WR"] + ["head"]
    assert [product.weight for product in found] == expected == [*weight_names(graph)]
    for product in found[:-1]:
        np.testing.assert_array_equal(product.values, held[product.weight][0].T)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_products_know_where_their_left_side_can_be_seen(name):
    """Of one frame a call a loop has one round, whose states are the graph's inputs."""
    for case in ("any chunk", "one frame"):
        parts = parts_of(name, **GRAPHS[case][0])
        found = {product.weight: product for product in products(parts)}
        assert [found[f"R{layer}"].seen for layer in range(2)] == ["h0", "h1"]
        assert (found["R0"].x == "h0") == (case == "one frame")
        for weight in ("W0", "W1", "head"):
            assert found[weight].seen == found[weight].x != ""


@pytest.mark.parametrize("case", GRAPHS)
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_parts_hold_all_weights_and_the_census_sees_them_in_floats(name, case):
    graph = graph_of(name, **GRAPHS[case][0])
    before, parts = weight_uses(graph), weight_uses(parts_of(name, **GRAPHS[case][0]))
    assert [use.operator for use in parts] == ["MatMul"] * 5
    assert sum(use.elements for use in parts) == sum(use.elements for use in before)
    assert not any(use.int8 for use in parts)
    assert len(parts_of(name).SerializeToString()) < len(graph_of(name).SerializeToString()) + 6000


def test_only_what_holds_the_weights_that_were_asked_for():
    parts = take_apart(graph_of("lstm-3-layers"), {"R1", "head"})
    left = [node.input[1] for node in parts.graph.node if node.op_type == "LSTM"]
    assert left == ["W0", "W2"]
    frames = frames_of(model_of("lstm-3-layers"), 2, 30)
    outputs, _ = Loop(parts).run(frames, CHUNKS)
    assert relative_error(outputs, whole(model_of("lstm-3-layers"), frames)) <= 2e-6


def test_a_weight_that_two_layers_share_has_two_names():
    graph = onnx.ModelProto()
    graph.CopyFrom(graph_of("lstm-3-layers"))
    for node in graph.graph.node:
        if node.op_type == "LSTM":
            node.input[2] = "R0"
    parts = take_apart(graph, {"W0", "W1"})  # the third stays an operator, and reads R0
    names = [product.weight for product in products(parts)]
    assert names == ["W0", "R0_", "W1", "R0__", "head"]
    frames = frames_of(model_of("lstm-3-layers"), 1, 30)
    outputs = [Loop(model).run(frames, CHUNKS)[0] for model in (parts, graph)]
    assert relative_error(*outputs) <= 2e-6


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_parts_leave_the_source_as_it_was(name):
    graph = graph_of(name)
    before = graph.SerializeToString()
    assert take_apart(graph) is not graph
    assert graph.SerializeToString() == before


def test_graphs_without_such_operators_are_not_touched():
    assert take_apart(graph_of("transformer")) is graph_of("transformer")
    assert take_apart(graph_of("lstm"), {"head"}) is graph_of("lstm")


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_gate_in_the_place_of_another_is_seen(name, monkeypatch):
    """The comparison above is worth something: with two gates exchanged it fails."""
    split = apart.GraphBuilder.split

    def exchanged(self, value, sizes, axis):
        parts = split(self, value, sizes, axis)
        return [parts[1], parts[0], *parts[2:]] if sizes[0] == sizes[1] else parts

    monkeypatch.setattr(apart.GraphBuilder, "split", exchanged)
    model = model_of(name)
    frames = frames_of(model, 1, 30)
    outputs, _ = Loop(take_apart(graph_of(name))).run(frames, [30])
    assert relative_error(outputs, whole(model, frames)) > 0.01


def test_one_scale_a_column_also_inside_the_loop(tmp_path):
    _, graph = quantized(graph_of("gru"), tmp_path)
    scans = [node for node in graph.graph.node if node.op_type == "Scan"]
    assert len(scans) == 2
    for scan in scans:
        body = next(item.g for item in scan.attribute if item.name == "body")
        arrays = [onnx.numpy_helper.to_array(item) for item in body.initializer]
        (weights,) = (array for array in arrays if array.dtype == np.int8 and array.ndim == 2)
        assert weights.shape == (6, 18)
        assert np.all(np.abs(weights.astype(int)).max(axis=0) >= 60), "columns are filled"
        assert any(array.dtype == np.float32 and array.shape == (18,) for array in arrays)


def changed(name="gru", **attributes):
    graph = onnx.ModelProto()
    graph.CopyFrom(graph_of(name))
    for node in graph.graph.node:
        if node.op_type == operator_of(name):
            kept = [item for item in node.attribute if item.name not in attributes]
            made = [onnx.helper.make_attribute(*item) for item in attributes.items()]
            del node.attribute[:]
            node.attribute.extend([*kept, *made])
    return graph


@pytest.mark.parametrize(
    "attributes", [{"linear_before_reset": 0}, {"clip": 3.0}, {"activations": ["Relu", "Tanh"]}]
)
def test_other_grus_stay_and_are_int8_in_name_only(attributes, tmp_path):
    graph = changed(**attributes)
    assert "GRU" in kinds(take_apart(graph))
    with pytest.raises(PromiseError, match=r"int8 in name only: 9\d% of its weights.*GRU_"):
        quantized(graph, tmp_path)
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.parametrize(
    "attributes", [{"clip": 3.0}, {"input_forget": 1}, {"activations": ["Tanh", "Tanh", "Relu"]}]
)
def test_other_lstms_stay(attributes):
    assert "LSTM" in kinds(take_apart(changed("lstm", **attributes)))


def test_what_is_said_outright_is_what_is_meant_anyway():
    said = changed(activations=["Sigmoid", "Tanh"], direction="forward", layout=0)
    assert "GRU" not in kinds(take_apart(said))
    activations = ["Sigmoid", "Tanh", "Tanh"]
    said = changed("lstm", activations=activations, direction="forward", layout=0, input_forget=0)
    assert "LSTM" not in kinds(take_apart(said))


@pytest.mark.parametrize(("name", "place"), [("gru", 4), ("lstm", 4), ("lstm", 7)])
def test_lengths_and_peepholes_are_not_understood(name, place):
    graph = changed(name)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.int32([9]), "extra"))
    for node in graph.graph.node:
        if node.op_type == operator_of(name):
            node.input.extend([""] * (place + 1 - len(node.input)))
            node.input[place] = "extra"
    assert operator_of(name) in kinds(take_apart(graph))


@pytest.mark.parametrize("outputs", [["all"], ["", "h"], ["", "", "c"], ["all", "h", "c"]])
@pytest.mark.parametrize("given_states", [(), ("h0",), ("h0", "c0")])
@pytest.mark.parametrize("frames", [1, 5])
def test_any_states_may_be_given_and_any_outputs_wanted(outputs, given_states, frames):
    """What others export: ONNX lets an LSTM start without states and return what is read."""
    rng, helper = np.random.default_rng(0), onnx.helper
    shapes = {"W": (1, 16, 3), "R": (1, 16, 4), "B": (1, 32)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    states = ["h0" if "h0" in given_states else "", "c0" if "c0" in given_states else ""]
    node = helper.make_node("LSTM", ["x", *shapes, "", *states], outputs, hidden_size=4)
    float32 = onnx.TensorProto.FLOAT
    inputs = {"x": (frames, 2, 3), **dict.fromkeys(given_states, (1, 2, 4))}
    results = {name: (frames, 1, 2, 4) if name == "all" else (1, 2, 4) for name in outputs if name}
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, float32, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, float32, shape) for name, shape in results.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    parts = take_apart(model)
    assert ("Scan" in kinds(parts)) == (frames > 1)
    onnx.checker.check_model(parts, full_check=True)
    feeds = {name: rng.normal(size=shape).astype(np.float32) for name, shape in inputs.items()}
    found = [
        ort.InferenceSession(m.SerializeToString()).run(list(results), feeds)
        for m in (model, parts)
    ]
    for expected, array in zip(*found, strict=True):
        np.testing.assert_allclose(array, expected, atol=1e-6)


def test_a_recipe_that_leaves_them_out_leaves_the_operators(tmp_path):
    how = Quantization("dynamic", nodes={"[WR]*": "fp32"})
    with pytest.raises(PromiseError, match=r"mixed in name only: 9\d% of its weights .*\(GRU_"):
        quantized(graph_of("gru"), tmp_path, how)


def test_what_only_a_branch_reads_is_kept():
    """Weights go with their operator; constants of the graph around a branch are not alone."""
    graph, helper = changed(), onnx.helper
    value = helper.make_tensor_value_info("branch", onnx.TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Neg", ["far"], ["branch"])], "b", [], [value])
    for name, array in (("far", np.float32([3])), ("yes", np.array(True))):
        graph.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    graph.graph.node.append(
        helper.make_node("If", ["yes"], ["minus"], then_branch=branch, else_branch=branch)
    )
    graph.graph.output.append(helper.make_tensor_value_info("minus", onnx.TensorProto.FLOAT, [1]))
    parts = take_apart(graph)
    onnx.checker.check_model(parts, full_check=True)
    names = {item.name for item in parts.graph.initializer}
    assert {"far", "yes", "W0"} <= names
    assert not {"R0", "B0"} & names, "turned, it lies in the loop"
    loop = Loop(parts)
    assert loop.session.run(
        ["minus"], {"frames": frames_of(model_of("gru"), 1, 2), **loop.fresh(1)}
    ) == [-3.0]
