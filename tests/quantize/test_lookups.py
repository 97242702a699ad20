"""A table that is multiplied by, too: one tensor in the file, and what is looked up is its rows."""

import numpy as np
import onnx
import onnx.reference
import pytest
import torch

from edgeseq.contract import Frame, Output
from edgeseq.export import build_graph
from edgeseq.graph.census import optimised_graph
from edgeseq.graph.weights import all_nodes
from edgeseq.models import SequenceModel
from edgeseq.models.decoder import DecoderSpec
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.lookups import store_once
from edgeseq.recipes import load_recipe
from edgeseq.runtime import StreamModel
from edgeseq.train.qat import quantized_twin
from edgeseq.workflows.evidence import frame_by_frame

LETTERS = tuple("abcdefghijklm")
FRAME = Frame(("letter",), ("token",), 25.0, vocabulary=LETTERS)
TOKENS = np.random.default_rng(0).integers(0, len(LETTERS), (1, 90, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    spec = DecoderSpec(24, 48, layers=2, heads=2, window=16)
    return SequenceModel(spec, 1, len(LETTERS), vocabulary=len(LETTERS)).eval()


@pytest.fixture(scope="module")
def source(model, tmp_path_factory):
    output = Output(kind="logits", labels=LETTERS)
    graph = build_graph(model, FRAME, output, producer="test", recipe="test")
    path = tmp_path_factory.mktemp("decoder") / "fp32.onnx"
    path.write_bytes(graph.SerializeToString())
    return path


def tables(path):
    return {i.name for i in onnx.load(path).graph.initializer if len(LETTERS) in i.dims}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("int8-dynamic", {"head_quantized", "head_scale"}),
        ("int8-static", {"head_quantized", "head_scale", "head_zero_point"}),
        ("int8-weights", {"head", "head_blocks", "head_scales", "head_zero_points"}),
    ],
)
def test_the_file_has_one_table_unless_it_is_in_blocks(source, tmp_path, name, kept):
    census = quantize_file(source, tmp_path / "q.onnx", load_recipe(name), streams=[TOKENS[0]])
    assert tables(tmp_path / "q.onnx") == kept
    assert census.int8_weights == 1


def test_loading_unpacks_it_once(source, tmp_path):
    quantize_file(source, tmp_path / "q.onnx", load_recipe("int8-dynamic"))
    stored, run = onnx.load(tmp_path / "q.onnx"), optimised_graph(tmp_path / "q.onnx", "all")
    assert "head_quantized" in {name for n in stored.graph.node for name in n.input[:1]}
    assert "Transpose" not in {n.op_type for n in run.graph.node[:3]}
    assert not [n for n in run.graph.node if n.op_type == "Cast" and "head" in n.input[0]]


@pytest.mark.parametrize("name", ["int8-dynamic", "int8-per-tensor", "int8-weights"])
def test_the_twin_looks_up_what_the_file_looks_up(model, source, tmp_path, name):
    recipe = load_recipe(name)
    quantize_file(source, tmp_path / "q.onnx", recipe)
    file = frame_by_frame(StreamModel.load(tmp_path / "q.onnx"), TOKENS)
    fp32 = frame_by_frame(StreamModel.load(source), TOKENS)
    with torch.inference_mode():
        twin = quantized_twin(model, recipe.quantize)(torch.from_numpy(TOKENS)).numpy()
    assert np.median(np.abs(file - twin)) < 1e-5 < np.median(np.abs(file - fp32)) / 10


def graph_of(levels, zero):
    """Return `table[token] @ table`, the product on integers as well, unscaled."""
    make = onnx.helper.make_node
    constants = {
        "table": np.eye(3, dtype=np.float32),
        "table_quantized": levels,
        "table_scale": np.array([0.5, 1, 2], np.float32),
        "table_zero_point": np.full(3, zero, levels.dtype),
    }
    graph = onnx.helper.make_graph(
        [
            make("Gather", ["table", "token"], ["row"]),
            make("MatMulInteger", ["other", "table_quantized"], ["product"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("token", onnx.TensorProto.INT64, [1])],
        [],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return onnx.helper.make_model(graph)


@pytest.mark.parametrize(
    ("levels", "zero"), [(np.zeros((3, 3), np.uint8), 0), (np.zeros((3, 3), np.int8), 1)]
)
def test_integers_with_another_zero_stay_beside_the_floats(levels, zero):
    model = graph_of(levels, zero)
    assert store_once(model) == model


def test_floats_are_levels_times_their_columns_scale():
    levels = np.array([[1, 2, 3], [-4, 5, 6], [7, 8, -9]], np.int8)
    made = store_once(graph_of(levels, 0))
    assert [node.op_type for node in all_nodes(made.graph)][:2] == ["Cast", "Mul"]
    made.graph.output.append(onnx.helper.make_tensor_value_info("row", onnx.TensorProto.FLOAT, []))
    del made.graph.node[-1]
    row = onnx.reference.ReferenceEvaluator(made).run(None, {"token": np.array([1])})[0]
    assert row.tolist() == [[-2, 5, 12]]
