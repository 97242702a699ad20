"""A compute node on the CPU is found in the profile, refused, and named; integers are let be."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.placement import measure_placement, read_placement, require_placed
from edgeseq.contract import SessionSettings
from edgeseq.errors import ModelError, ProviderError
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.model import open_session

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
GOLDEN = Path(__file__).parents[1] / "golden"
LSTM = GOLDEN / "har-lstm" / "model.onnx"


def node(name, operator, provider=CUDA, ins=("float",), outs=("float",)):
    """Return an event as ONNX Runtime 1.30 to 1.32 writes it, without what is not read."""
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "dur": 5,
        "args": {
            "op_name": operator,
            "provider": provider,
            "node_index": "3",
            "input_type_shape": [{kind: [1, 2]} for kind in ins],
            "output_type_shape": [{kind: [1, 2]} for kind in outs],
        },
    }


def session(name):
    return {"cat": "Session", "name": name, "dur": 9, "args": {}}


def on_cuda(*nodes, calls=1):
    """Return the profile of a session that runs `nodes` in each call."""
    call = [*nodes, session("SequentialExecutor::Execute"), session("model_run")]
    return [session("model_loading_uri"), session("session_initialization"), *call * calls]


def real_events(path, folder):
    """Return what ONNX Runtime here really writes for two calls of the file `path`."""
    settings = SessionSettings()
    opened = open_session(path, "cpu", settings, profile=folder / "p")
    contract = StreamModel.load(path).contract
    with StreamSession(StreamModel(opened, contract, "cpu", settings, str(path))) as stream:
        for _ in range(2):
            stream.run(np.zeros((1, contract.frame.size), np.float32))
    return json.loads(Path(opened.end_profiling()).read_text())


@pytest.mark.parametrize("file", sorted(GOLDEN.rglob("*.onnx")), ids=lambda path: path.name)
@pytest.mark.parametrize("streams", [1, 3])
def test_on_the_cpu_all_nodes_are_on_the_cpu(file, streams):
    placement = measure_placement(file, "cpu", streams=streams)
    assert set(placement.nodes) == {CPU}
    assert placement.fallback == ()
    assert (placement.host_to_device, placement.device_to_host) == (0, 0)
    assert placement.calls == 3
    require_placed(placement)


def test_the_operators_are_those_that_the_optimised_graph_has():
    assert measure_placement(LSTM, "cpu").nodes == {
        CPU: {"Add": 1, "Div": 1, "LSTM": 2, "MatMul": 1, "Squeeze": 2, "Sub": 1, "Transpose": 2}
    }
    int8 = measure_placement(LSTM.with_name("model.int8.onnx"), "cpu").nodes[CPU]
    assert int8["DynamicQuantizeLSTM"] == 2


def test_settings_are_those_of_the_run():
    plain = measure_placement(LSTM, "cpu", SessionSettings(graph_level="disabled"))
    assert plain.nodes[CPU]["Identity"] == 1


def test_one_lstm_on_the_cpu_is_refused_by_name(tmp_path):
    events = real_events(LSTM, tmp_path)
    for event in events:
        if event["cat"] == "Node":
            event["args"]["provider"] = CUDA
    whole = read_placement(events, "cuda")
    assert whole.fallback == ()
    assert whole.nodes[CUDA]["LSTM"] == 2
    broken = copy.deepcopy(events)
    for event in broken:
        if event["name"] == "LSTM_5_kernel_time":
            event["args"]["provider"] = CPU
    placement = read_placement(broken, "cuda")
    assert placement.fallback == ("LSTM LSTM_5",)
    assert (placement.nodes[CUDA]["LSTM"], placement.nodes[CPU]) == (1, {"LSTM": 1})
    with pytest.raises(ProviderError) as error:
        require_placed(placement, variant="fp32")
    text = str(error.value)
    assert text == (
        "fp32 was to run on cuda, but 1 of its compute nodes ran on the CPU (LSTM LSTM_5): "
        "ONNX Runtime has no CUDA kernel for these operators and types. Measure the fp32 or fp16 "
        "variant with: --variant fp32, or this one as it is with: --allow-fallback"
    )
    require_placed(placement, allow_fallback=True)


def test_int8_says_which_kernel_cuda_lacks():
    events = on_cuda(
        node("Transpose_2", "Transpose"),
        node("copy", "MemcpyToHost"),
        *(node(f"LSTM_{index}", "DynamicQuantizeLSTM", CPU) for index in range(5)),
        node("back", "MemcpyFromHost"),
        calls=2,
    )
    placement = read_placement(events, "cuda")
    assert (placement.host_to_device, placement.device_to_host, placement.calls) == (1, 1, 2)
    assert placement.nodes == {CPU: {"DynamicQuantizeLSTM": 5}, CUDA: {"Transpose": 1}}
    with pytest.raises(ProviderError) as error:
        require_placed(placement, variant="int8")
    text = str(error.value)
    assert "5 of its compute nodes" in text
    assert "LSTM_2 and 2 more): ONNX Runtime has no CUDA kernel for DynamicQuantizeLSTM" in text
    assert "\n" not in text


def test_shapes_and_positions_on_the_cpu_are_no_fallback():
    events = on_cuda(
        node("Shape_2", "Shape", ins=("float",), outs=("int64",)),
        node("Add_3", "Add", CPU, ("int64", "int64"), ("int64",)),
        node("Less_4", "Less", CPU, ("int64", "int64"), ("bool",)),
        node("MatMul_5", "MatMul"),
    )
    placement = read_placement(events, "cuda")
    assert placement.nodes[CPU] == {"Add": 1, "Less": 1}
    assert placement.fallback == ()


@pytest.mark.parametrize("kind", ["float", "float16", "double", "bfloat16", "float8e4m3fn"])
@pytest.mark.parametrize("side", ["ins", "outs"])
def test_any_float_in_or_out_makes_it_compute(kind, side):
    types = {"ins": ("int64",), "outs": ("bool",), side: (kind,)}
    events = on_cuda(node("Where_1", "Where", CPU, **types), node("MatMul_5", "MatMul"))
    assert read_placement(events, "cuda").fallback == ("Where Where_1",)


def test_a_node_without_types_is_not_taken_to_be_innocent():
    events = on_cuda(node("Loop_1", "Loop", CPU, (), ()), node("MatMul_5", "MatMul"))
    assert read_placement(events, "cuda").fallback == ("Loop Loop_1",)


def test_kernels_and_fences_are_not_nodes():
    kernel = {"cat": "Kernel", "name": "gemm_kernel_time", "args": {"op_name": "x"}}
    fence = {"cat": "Node", "name": "MatMul_5_fence_before", "args": {"op_name": "MatMul"}}
    placement = read_placement(on_cuda(kernel, fence, node("MatMul_5", "MatMul")), "cuda")
    assert placement.nodes == {CUDA: {"MatMul": 1}}


def test_copies_are_counted_a_call():
    events = on_cuda(
        node("m1", "MemcpyFromHost"), node("m2", "MemcpyFromHost"), node("a", "Add"), calls=4
    )
    placement = read_placement(events, "cuda")
    assert (placement.host_to_device, placement.device_to_host) == (2, 0)


@pytest.mark.parametrize("events", [[], on_cuda(), [node("a", "Add")]])
def test_a_profile_that_says_nothing_is_no_proof(events):
    with pytest.raises(ModelError, match="names no node that ran"):
        read_placement(events, "cuda")


def test_cuda_that_is_not_there_is_one_line(tmp_path):
    import onnxruntime

    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("CUDA is here")
    with pytest.raises(ProviderError, match="has only"):
        measure_placement(LSTM, "cuda")


def test_no_profile_is_left_behind(tmp_path, monkeypatch):
    (tmp_path / "identity.onnx").write_bytes(identity_onnx())
    monkeypatch.chdir(tmp_path)
    assert measure_placement(tmp_path / "identity.onnx", "cpu").nodes == {CPU: {"Identity": 2}}
    assert [path.name for path in tmp_path.iterdir()] == ["identity.onnx"]
