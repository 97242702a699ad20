"""`inspect` tells of any ONNX file what its author did not."""

import json

import numpy as np
import onnx
import pytest
from graph.handmade import lstm_and_head, save, tensor, value
from onnx import TensorProto, helper, numpy_helper

from edgeseq.contract import METADATA_KEY
from edgeseq.errors import ModelError
from edgeseq.graph.inspect import Initializer, inspect_model
from edgeseq.graph.portable import SATURATES
from edgeseq.graph.states import StatePair, Value
from edgeseq.report.inspect import inspection_text


@pytest.fixture
def silero(tmp_path):
    """Names, shapes and the sample rate input as in Silero VAD 5."""
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["scores"], "project"),
        helper.make_node("Sigmoid", ["scores"], ["output"], "squash"),
        helper.make_node("Constant", [], ["decay"], "decay", value=tensor("", 1, 1, 128)),
        helper.make_node("Mul", ["state", "decay"], ["stateN"], "forget"),
    ]
    inputs = [
        value("input", ("N", 512)),
        value("state", (2, "N", 128)),
        value("sr", (), TensorProto.INT64),
    ]
    outputs = [value("output", ("N", 1)), value("stateN", (None, None, None))]
    return save(tmp_path / "silero.onnx", nodes, inputs, outputs, [tensor("w", 512, 1)], opset=15)


def test_silero_state_is_found_and_marked_as_guessed(silero):
    inspection = inspect_model(silero)
    assert inspection.states == (StatePair("state", "stateN", guessed=True),)
    assert inspection.contract is None
    assert inspection.inputs == (
        Value("input", "float32", ("N", "512")),
        Value("state", "float32", ("2", "N", "128")),
        Value("sr", "int64", ()),
    )
    assert inspection.outputs[1] == Value("stateN", "float32", ("?", "?", "?"))


def test_bytes_lie_with_the_operator_that_reads_them(silero):
    inspection = inspect_model(silero)
    assert inspection.bytes_by_operator == {"MatMul": 512 * 4, "Mul": 128 * 4}
    assert inspection.initializers[0] == Initializer("w", "float32", (512, 1), 2048, "MatMul")
    assert inspection.initializers[1].name == "decay"


def test_head_of_the_file(silero):
    inspection = inspect_model(silero)
    assert inspection.bytes == silero.stat().st_size
    assert (inspection.producer, inspection.ir_version) == ("hand", 8)
    assert inspection.opsets == {"ai.onnx": 15}
    assert inspection.operators == {"MatMul": 1, "Sigmoid": 1, "Constant": 1, "Mul": 1}


def test_fp32_file_has_no_int8(tmp_path):
    inspection = inspect_model(lstm_and_head(tmp_path / "m.onnx"))
    assert inspection.weights == 48 + 64 + 8
    assert inspection.stored_int8 == 0
    assert inspection.optimised.int8_weights == 0
    assert [(pair.input, pair.output) for pair in inspection.states] == [("h0", "hn"), ("c0", "cn")]


def test_int8_share_by_element(tmp_path):
    """12 of 20 weights are stored as int8; ONNX Runtime folds them back to floats, or not."""
    nodes = [
        helper.make_node("MatMulInteger", ["x", "a"], ["sums"], "integers"),
        helper.make_node("Cast", ["sums"], ["real"], "cast", to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["real", "b"], ["y"], "floats"),
    ]
    weights = [tensor("a", 3, 4, dtype=np.int8), tensor("b", 4, 2)]
    inputs = [value("x", ("N", 3), TensorProto.UINT8)]
    path = save(tmp_path / "m.onnx", nodes, inputs, [value("y", ("N", 2))], weights)
    inspection = inspect_model(path)
    assert inspection.weights == 20
    assert inspection.stored_int8 == pytest.approx(0.6)
    assert inspection.optimised.int8_weights == pytest.approx(0.6)
    assert "in fp32: floats" in inspection_text(inspection)


def test_what_other_cpus_answer_differently_is_named(tmp_path):
    weights = numpy_helper.from_array(np.full((3, 2), 127, np.int8), "w")
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"], "integers")]
    inputs = [value("x", ("N", 3), TensorProto.UINT8)]
    outputs = [value("y", ("N", 2), TensorProto.INT32)]
    inspection = inspect_model(save(tmp_path / "m.onnx", nodes, inputs, outputs, [weights]))
    (found,) = inspection.depends_on_cpu
    assert (found.node, found.operator, found.why, found.pairs) == (
        "integers", "MatMulInteger", SATURATES, 2,
    )  # fmt: skip
    text = inspection_text(inspection)
    assert f"  another answer:\n    {SATURATES}: integers (MatMulInteger, 2 pairs)\n" in text
    assert inspection.to_json()["depends_on_cpu"][0]["pairs"] == 2


def test_weights_in_other_files_are_not_judged(tmp_path):
    weights = numpy_helper.from_array(np.full((3, 2), 127, np.int8), "w")
    nodes = [helper.make_node("MatMulInteger", ["x", "w"], ["y"], "integers")]
    inputs = [value("x", ("N", 3), TensorProto.UINT8)]
    outputs = [value("y", ("N", 2), TensorProto.INT32)]
    path = save(tmp_path / "m.onnx", nodes, inputs, outputs, [weights])
    onnx.save(onnx.load(path), path, save_as_external_data=True, size_threshold=0, location="w.bin")
    inspection = inspect_model(path)
    assert inspection.depends_on_cpu is None
    assert "unknown: its weights lie in other files" in inspection_text(inspection)


def test_contract_names_the_state(lstm_bundle):
    inspection = inspect_model(lstm_bundle.file("fp32"))
    contract = lstm_bundle.variant("fp32").contract
    assert inspection.contract == contract
    assert inspection.states == tuple(
        StatePair(state.input, state.output, guessed=False) for state in contract.states
    )
    assert inspection.producer == contract.producer


def test_unreadable_contract_is_said_and_the_state_guessed(tmp_path):
    path = lstm_and_head(tmp_path / "m.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {METADATA_KEY: '{"version": 99}'})
    onnx.save(model, path)
    inspection = inspect_model(path)
    assert "contract version 99 is unknown" in inspection.contract_missing
    assert all(pair.guessed for pair in inspection.states)
    assert len(inspection.states) == 2


def test_initializers_listed_among_the_inputs_are_not_fed(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    inputs = [value("x", ("N", 3)), value("w", (3, 2))]
    path = save(tmp_path / "m.onnx", nodes, inputs, [value("y", None)], [tensor("w", 3, 2)])
    inspection = inspect_model(path)
    assert [item.name for item in inspection.inputs] == ["x"]
    assert inspection.outputs[0].shape is None


def test_four_bit_constants_take_half_a_byte(tmp_path):
    packed = helper.make_tensor("w", TensorProto.UINT4, (3, 5), [1] * 15)
    nodes = [helper.make_node("DequantizeLinear", ["w", "scale"], ["y"])]
    values = [], [value("y", (3, 5))]
    path = save(tmp_path / "m.onnx", nodes, *values, [packed, tensor("scale")], opset=21)
    assert inspect_model(path).initializers[0].bytes == 8


def test_what_onnxruntime_cannot_load_is_still_inspected(tmp_path):
    nodes = [helper.make_node("Fancy", ["x"], ["y"], domain="com.example")]
    path = save(tmp_path / "m.onnx", nodes, [value("x", (1,))], [value("y", (1,))])
    inspection = inspect_model(path)
    assert inspection.optimised is None
    assert "cannot load" in inspection.optimised_missing
    assert "is unknown" in inspection_text(inspection)


def test_json_is_plain_and_complete(silero):
    table = inspect_model(silero).to_json()
    assert json.loads(json.dumps(table)) == table
    assert table["states"] == [{"input": "state", "output": "stateN", "guessed": True}]
    assert table["inputs"][0]["shape"] == ["N", "512"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_one_line(silero, share):
    data = silero.read_bytes()
    silero.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match="cut, damaged or not ONNX") as caught:
        inspect_model(silero)
    assert "\n" not in str(caught.value)


def test_other_files_are_one_line(tmp_path):
    (tmp_path / "text.onnx").write_text("this is not a model\n")
    with pytest.raises(ModelError, match="not ONNX"):
        inspect_model(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="is not a file"):
        inspect_model(tmp_path)


def test_text_shows_every_section(silero):
    assert inspection_text(inspect_model(silero)).splitlines()[1:] == [
        "made by hand · opset ai.onnx 15 · IR 8",
        "contract: none (the file carries none)",
        "",
        "inputs",
        "  input  float32 [N, 512]",
        "  state  float32 [2, N, 128]  (state)",
        "  sr  int64 []",
        "",
        "outputs",
        "  output  float32 [N, 1]",
        "  stateN  float32 [?, ?, ?]  (state)",
        "",
        "state",
        "  stateN → state",
        "  guessed from names, shapes and types: the file does not say",
        "",
        "operators",
        "  MatMul 1, Sigmoid 1, Constant 1, Mul 1",
        "",
        "int8",
        "  0% of 512 weights are stored in int8",
        f"  0% run in int8 in ONNX Runtime {inspect_model(silero).optimised.onnxruntime}",
        "",
        "on other CPUs",
        "  the same answer, but for the rounding of floats",
        "",
        "bytes by operator",
        "  2,048 B  MatMul",
        "  512 B  Mul",
        "  the largest constants:",
        "    2,048 B  w float32 [512, 1]",
        "    512 B  decay float32 [1, 1, 128]",
    ]
