"""What the files look like: operators, names, versions, and the contract they carry."""

import json
from collections import Counter

import onnx
import pytest
from export.small import FRAME, LOGITS, SPECS, VALUE, graph_of, model_of

from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.export import build_graph
from edgeseq.graph.census import optimised_graph
from edgeseq.graph.weights import all_graphs, all_nodes, subgraphs

FILES = {
    "lstm": {"name": "lstm"},
    "lstm-sequence": {"name": "lstm", "form": "sequence"},
    "lstm-static": {"name": "lstm", "streams": 1, "frames": 1},
    "lstm-value": {"name": "lstm-1-layer", "output": VALUE},
    "lstm-projected": {"name": "lstm-projected"},
    "lstm-projected-step": {"name": "lstm-projected", "newest": True, "frames": 1},
    "gru": {"name": "gru"},
    "gru-sequence": {"name": "gru", "form": "sequence"},
    "gru-step": {"name": "gru", "newest": True, "frames": 1},
    "hybrid": {"name": "hybrid"},
    "hybrid-step": {"name": "hybrid", "newest": True, "frames": 1},
    "transformer": {"name": "transformer"},
    "transformer-sequence": {"name": "transformer", "form": "sequence"},
    "transformer-static": {"name": "transformer", "streams": 1, "frames": 1},
    "transformer-step": {"name": "transformer", "newest": True, "frames": 1},
    "encoder": {"name": "encoder"},
    "encoder-recompute": {"name": "encoder", "form": "recompute", "frames": 1},
    "encoder-sequence": {"name": "encoder", "form": "sequence"},
    "encoder-static": {"name": "encoder", "streams": 2, "frames": 3},
    "vit": {"name": "vit"},
    "vit-step": {"name": "vit", "newest": True, "frames": 1},
    "cnn": {"name": "cnn"},
    "cnn-step": {"name": "cnn", "newest": True, "frames": 1},
    "encoder-decoder": {"name": "encoder-decoder"},
    "encoder-decoder-sequence": {"name": "encoder-decoder", "form": "sequence"},
    "encoder-decoder-step": {"name": "encoder-decoder", "newest": True, "frames": 1},
}

# Nodes in the file and nodes that ONNX Runtime makes of them: the time of a step of a small model
# is mostly the number of its nodes, so more needs a reason.
NODES = {
    "lstm": (11, 10),
    "lstm-sequence": (11, 10),
    "lstm-static": (9, 8),
    "lstm-value": (11, 10),
    "lstm-projected": (15, 14),
    "lstm-projected-step": (35, 34),
    "gru": (11, 10),
    "gru-sequence": (11, 10),
    "gru-step": (9, 8),
    "hybrid": (111, 110),
    "hybrid-step": (51, 50),
    "transformer": (124, 123),
    "transformer-sequence": (80, 78),
    "transformer-static": (114, 107),
    "transformer-step": (49, 47),
    "encoder": (54, 55),
    "encoder-recompute": (49, 50),
    "encoder-sequence": (53, 54),
    "encoder-static": (50, 50),
    "vit": (56, 57),
    "vit-step": (51, 52),
    "cnn": (24, 23),
    "cnn-step": (19, 18),
    "encoder-decoder": (155, 152),
    "encoder-decoder-sequence": (148, 144),
    "encoder-decoder-step": (66, 65),
}


def metadata(graph):
    return {prop.key: prop.value for prop in graph.metadata_props}


def sizes(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.fixture
def optimised(tmp_path):
    def count(graph):
        onnx.save(graph, tmp_path / "model.onnx")
        nodes = optimised_graph(tmp_path / "model.onnx").graph.node
        return Counter(node.op_type for node in nodes)

    return count


@pytest.mark.parametrize("file", FILES)
def test_contract_is_golden(file, golden):
    graph = graph_of(**FILES[file])
    table = json.loads(metadata(graph)[METADATA_KEY])
    golden(f"{file}.json", json.dumps(table, indent=2, sort_keys=True) + "\n")


@pytest.mark.parametrize("file", FILES)
def test_contract_comes_back_and_is_true_of_the_graph(file):
    graph = graph_of(**FILES[file])
    contract = Contract.from_metadata(metadata(graph), where="test")
    assert contract.to_json() == json.loads(metadata(graph)[METADATA_KEY])
    streams = contract.streams or "N"
    frames = contract.chunk_max or "T"
    inputs = {value.name: value for value in graph.graph.input}
    outputs = {value.name: value for value in graph.graph.output}
    assert set(inputs) == {contract.frame.name, *(state.input for state in contract.states)}
    assert set(outputs) == {contract.output.name, *(state.output for state in contract.states)}
    assert sizes(inputs["frames"]) == [streams, frames, FRAME.size]
    assert sizes(outputs[contract.output.name]) == [streams, frames, len(contract.output.labels)]
    for state in contract.states:
        shape = [streams if size == "N" else int(size) for size in state.shape]
        for value in (inputs[state.input], outputs[state.output]):
            assert sizes(value) == shape, value.name
            dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            assert dtype == state.dtype


def test_metadata_is_one_json_without_secrets_of_the_machine():
    assert set(metadata(graph_of("lstm"))) == {METADATA_KEY}
    assert (graph_of("lstm").producer_name, graph_of("lstm").producer_version) == (
        "edgeseq",
        "test",
    )


@pytest.mark.parametrize("file", FILES)
def test_versions(file):
    graph = graph_of(**FILES[file])
    newest = file in ("encoder-decoder-step", "hybrid-step", "transformer-step")
    assert [(item.domain, item.version) for item in graph.opset_import] == [
        ("", 24 if newest else 17)
    ]
    assert graph.ir_version == (12 if newest else 8)
    contract = Contract.from_metadata(metadata(graph), where="test")
    assert contract.min_onnxruntime == ("1.25.0" if newest else "1.16.0")
    onnx.checker.check_model(graph, full_check=True)


@pytest.mark.parametrize("file", FILES)
def test_node_counts(file, optimised):
    graph = graph_of(**FILES[file])
    nodes = optimised(graph)
    assert (len(graph.graph.node), nodes.total()) == NODES[file], dict(nodes)


@pytest.mark.parametrize(
    "layers", ["lstm-1-layer", "lstm", "lstm-3-layers", "gru", "gru-3-layers", "hybrid"]
)
def test_recurrence_stays_one_node_a_layer(layers, optimised):
    kind = layers.split("-")[0].upper().replace("HYBRID", "LSTM")
    for form in ("step", "sequence"):
        graph = graph_of(layers, form=form)
        count = SPECS[layers].layers
        assert Counter(node.op_type for node in graph.graph.node)[kind] == count
        assert optimised(graph)[kind] == count


@pytest.mark.parametrize("output", [LOGITS, VALUE])
@pytest.mark.parametrize("name", SPECS)
def test_no_gemm_and_its_reshapes_appear(name, output, optimised):
    nodes = optimised(graph_of(name, output))
    assert not {"Gemm", "FusedGemm"} & set(nodes)
    if name.startswith(("lstm", "gru")):
        assert "Reshape" not in nodes


@pytest.mark.parametrize(
    "family",
    ["lstm", "lstm-projected", "gru", "hybrid", "transformer", "encoder", "vit", "cnn"],
)
@pytest.mark.parametrize("form", ["step", "sequence"])
def test_static_graph_has_nothing_dynamic(family, form):
    graph = graph_of(family, form=form, streams=2, frames=3)
    assert not {"Shape", "Range", "If", "Loop"} & {node.op_type for node in graph.graph.node}
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True)
    for value in inferred.graph.value_info:
        assert all(isinstance(size, int) for size in sizes(value)), value.name


@pytest.mark.parametrize("file", [file for file in FILES if "sequence" not in file])
def test_all_states_may_be_written_in_place(file):
    states = Contract.from_metadata(metadata(graph_of(**FILES[file])), where="t").states
    assert {state.in_place for state in states} == {True}


def read_by(node):
    """Return the values that a node reads: its inputs, and what its branches read."""
    inner = (inside for branch in subgraphs(node) for inside in all_nodes(branch))
    return {*node.input, *(name for inside in inner for name in inside.input)}


def reachable(graph, start):
    """Return all values that are computed from the values `start`."""
    found = set(start)
    for node in graph.graph.node:  # sorted, so one pass is enough
        if found & read_by(node):
            found |= set(node.output)
    return found


@pytest.mark.parametrize(
    "file", [file for file in FILES if "sequence" not in file and not file.startswith("gru")]
)
def test_a_write_waits_for_every_reader(file):
    """In place is safe in any order of execution: the writer needs what the readers made.

    `Shape` reads no elements. The ring's writer of the step graph is its only reader.
    """
    graph = graph_of(**FILES[file])
    for state in Contract.from_metadata(metadata(graph), where="t").states:
        nodes = [node for node in graph.graph.node if node.op_type != "Shape"]
        (writer,) = (node for node in nodes if state.output in node.output)
        for reader in (node for node in nodes if state.input in read_by(node)):
            after = reachable(graph, reader.output)
            assert reader == writer or after & read_by(writer), f"{reader.name}, {state.input}"


@pytest.mark.parametrize("file", ["encoder-decoder", "encoder-decoder-step"])
def test_in_a_branch_only_the_writer_reads_a_state(file):
    """And it either passes the state on or writes into it: neither reads after it wrote."""
    graph = graph_of(**FILES[file])
    states = Contract.from_metadata(metadata(graph), where="t").states
    branches = [branch for branch in all_graphs(graph.graph) if branch is not graph.graph]
    assert len(branches) == 4
    for state in states:
        for branch in branches:
            readers = [node for node in branch.node if state.input in node.input]
            assert len(readers) <= 1
            for node in readers:
                assert node.op_type in ("Identity", "ScatterND"), state.input
                assert node.input[0] == state.input
                assert node.output[0] in {item.name for item in branch.output}


def test_normalisation_is_inside_only_where_there_is_any():
    import copy

    plain = copy.deepcopy(model_of("lstm"))
    plain.input_mean.zero_()
    plain.input_std.fill_(1)
    graph = build_graph(plain, FRAME, LOGITS, producer="test", recipe="test")
    assert not {"Sub", "Div"} & {node.op_type for node in graph.graph.node}
    assert {"Sub", "Div"} <= {node.op_type for node in graph_of("lstm").graph.node}


def test_same_weights_make_the_same_bytes():
    again = build_graph(model_of("transformer"), FRAME, LOGITS, producer="test", recipe="test")
    assert again.SerializeToString() == graph_of("transformer").SerializeToString()
