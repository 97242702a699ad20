"""A GRU in parts is the GRU, and its parts run in int8."""

import numpy as np
import onnx
import pytest
from export.small import Loop, frames_of, graph_of, model_of, relative_error, whole

from edgeseq.bundle import Tolerance
from edgeseq.errors import PromiseError
from edgeseq.graph.weights import weight_uses
from edgeseq.quantize import gru
from edgeseq.quantize.dynamic import quantize_file
from edgeseq.quantize.gru import take_apart
from edgeseq.recipes import Quantization, Recipe, load_recipe

RECIPE = load_recipe("int8-dynamic")
CHUNKS = (1, 1, 7, 1, 20)
ONES = (1,) * 30
GRAPHS = {
    "any chunk": ({}, CHUNKS),
    "one frame": ({"frames": 1}, ONES),
    "fixed": ({"frames": 5, "streams": 3}, (5,) * 6),
    "sequence": ({"form": "sequence"}, (30,)),
    "sequence of one": ({"form": "sequence", "frames": 1}, (1,)),
}


def kinds(graph):
    return {node.op_type for node in graph.graph.node}


def int8(graph, folder):
    onnx.save(graph, folder / "fp32.onnx")
    census = quantize_file(folder / "fp32.onnx", folder / "int8.onnx", RECIPE)
    return census, onnx.load(folder / "int8.onnx")


@pytest.mark.parametrize("name", ["gru", "gru-3-layers"])
@pytest.mark.parametrize("case", GRAPHS)
def test_parts_are_the_whole_and_int8_is_near(name, case, tmp_path):
    options, cuts = GRAPHS[case]
    model, graph = model_of(name), graph_of(name, **options)
    frames = frames_of(model, 3, sum(cuts))
    expected = whole(model, frames)
    parts = take_apart(graph)
    onnx.checker.check_model(parts, full_check=True)
    assert "GRU" in kinds(graph)
    assert "GRU" not in kinds(parts)
    assert ("Scan" in kinds(parts)) == ("one" not in case)
    assert relative_error(Loop(parts).run(frames, cuts)[0], expected) <= 2e-6
    census, quantized = int8(graph, tmp_path)
    noise = relative_error(Loop(quantized).run(frames, cuts)[0], expected)
    assert 1e-4 < noise < 0.08
    assert census.int8_weights == 1
    layers = int(name[4]) if "-" in name else 2
    assert census.operators["DynamicQuantizeMatMul"] == 2 * layers + 1
    assert not {"GRU", "MatMul", "Gemm", "MatMulInteger"} & census.operators.keys()


def test_a_recipe_without_products_leaves_the_operator(tmp_path):
    how = Quantization("dynamic", operators=("LSTM",))
    recipe = Recipe("mine", "", Tolerance(0.1, 0.1), quantize=how)
    onnx.save(graph_of("gru"), tmp_path / "fp32.onnx")
    with pytest.raises(PromiseError, match=r"100% of its weights still run in fp32 .*\(GRU_"):
        quantize_file(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", recipe)


@pytest.mark.parametrize("case", GRAPHS)
def test_parts_hold_all_weights_and_the_census_sees_them_in_floats(case):
    graph = graph_of("gru", **GRAPHS[case][0])
    before, parts = weight_uses(graph), weight_uses(take_apart(graph))
    assert [use.operator for use in parts] == ["MatMul"] * 5
    assert sum(use.elements for use in parts) == sum(use.elements for use in before)
    assert not any(use.int8 for use in parts)


def test_parts_leave_the_source_as_it_was():
    graph = graph_of("gru")
    before = graph.SerializeToString()
    assert take_apart(graph) is not graph
    assert graph.SerializeToString() == before


def test_graphs_without_a_gru_are_not_touched():
    assert take_apart(graph_of("lstm")) is graph_of("lstm")


def test_a_gate_in_the_place_of_another_is_seen(monkeypatch):
    """The comparison above is worth something: with r and z exchanged it fails."""
    split = gru.GraphBuilder.split

    def exchanged(self, value, sizes, axis):
        parts = split(self, value, sizes, axis)
        return parts[::-1] if sizes[0] == sizes[1] else parts

    monkeypatch.setattr(gru.GraphBuilder, "split", exchanged)
    model = model_of("gru")
    frames = frames_of(model, 1, 30)
    outputs, _ = Loop(take_apart(graph_of("gru"))).run(frames, [30])
    assert relative_error(outputs, whole(model, frames)) > 0.01


def test_one_scale_a_column_also_inside_the_loop(tmp_path):
    _, graph = int8(graph_of("gru"), tmp_path)
    scans = [node for node in graph.graph.node if node.op_type == "Scan"]
    assert len(scans) == 2
    for scan in scans:
        body = next(item.g for item in scan.attribute if item.name == "body")
        arrays = [onnx.numpy_helper.to_array(item) for item in body.initializer]
        (weights,) = (array for array in arrays if array.dtype == np.int8 and array.ndim == 2)
        assert weights.shape == (6, 18)
        assert 60 <= np.abs(weights.astype(int)).max() <= 64
        assert any(array.dtype == np.float32 and array.shape == (18,) for array in arrays)


def changed(**attributes):
    graph = onnx.ModelProto()
    graph.CopyFrom(graph_of("gru"))
    for node in graph.graph.node:
        if node.op_type == "GRU":
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
        int8(graph, tmp_path)
    assert not (tmp_path / "int8.onnx").exists()


def test_what_is_said_outright_is_what_is_meant_anyway():
    said = changed(activations=["Sigmoid", "Tanh"], direction="forward", layout=0)
    assert "GRU" not in kinds(take_apart(said))


def test_lengths_of_single_streams_are_not_understood():
    graph = changed()
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.int32([9]), "lengths"))
    for node in graph.graph.node:
        if node.op_type == "GRU":
            node.input[4] = "lengths"
    assert "GRU" in kinds(take_apart(graph))


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
    assert {"far", "yes"} <= names
    assert not {"W0", "R0", "B0"} & names
    loop = Loop(parts)
    assert loop.session.run(
        ["minus"], {"frames": frames_of(model_of("gru"), 1, 2), **loop.fresh(1)}
    ) == [-3.0]
