"""fp16 between the weights, float32 at the border: by types, by an independent evaluator."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from edgeseq.bundle import load_bundle
from edgeseq.check.parity import compare, decision_rule
from edgeseq.check.subject import initial_state
from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.errors import ModelError, PromiseError
from edgeseq.quantize.half import float32_nodes, half_share, halve, halve_file
from edgeseq.recipes import load_recipe
from edgeseq.runtime import StreamSession

RECIPE = load_recipe("fp16")
GOLDEN = Path(__file__).parents[1] / "golden"
FILES = {
    "lstm": ("har-lstm", "fp32"),
    "transformer": ("glucose-transformer", "fp32"),
    "transformer step": ("glucose-transformer", "step"),
}


@pytest.fixture(scope="module", params=FILES, ids=str)
def halved(request, tmp_path_factory):
    """A golden bundle, its variant's name, and the file that was made of it."""
    folder, name = FILES[request.param]
    bundle = load_bundle(GOLDEN / folder)
    target = tmp_path_factory.mktemp("half") / "fp16.onnx"
    halve_file(bundle.file(name), target, RECIPE)
    return bundle, name, target


def types(model):
    """Return the element type of every value, as onnx infers it from the graph alone."""
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {item.name: item.data_type for item in graph.initializer}


def evaluate(path, contract, frames):
    """Stream through onnx's reference evaluator, which computes fp16 in NumPy's fp16."""
    evaluator, state = ReferenceEvaluator(str(path)), initial_state(contract, 1)
    names = [contract.output.name, *(item.output for item in contract.states)]
    outputs = []
    for frame in frames:
        output, *states = evaluator.run(names, {contract.frame.name: frame[None, None], **state})
        state = dict(zip((item.input for item in contract.states), states, strict=True))
        outputs.append(output[0, 0])
    return np.stack(outputs)


def test_weights_are_multiplied_in_fp16(halved):
    bundle, name, target = halved
    model = onnx.load(target)
    kinds = types(model)
    assert half_share(model) == 1
    assert half_share(onnx.load(bundle.file(name))) == 0
    for node in model.graph.node:
        if node.op_type == "LSTM" or (node.op_type == "MatMul" and node.input[1] in kinds):
            floats = {kinds[item] for item in (*node.input, *node.output) if item}
            assert len(floats) == 1, node.name
    assert target.stat().st_size < bundle.file(name).stat().st_size


def test_inputs_outputs_and_states_stay_as_the_contract_says(halved):
    bundle, name, target = halved
    before, after = onnx.load(bundle.file(name)), onnx.load(target)
    assert after.graph.input == before.graph.input
    assert after.graph.output == before.graph.output
    assert after.opset_import == before.opset_import


def test_frames_rings_and_outputs_are_never_rounded(halved):
    """Follows float32 from every input to the first cast: none but a weight's input may be one."""
    _, _, target = halved
    model = onnx.load(target)
    kinds = types(model)
    readers = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    for cast in casts:
        if kinds[cast.output[0]] == TensorProto.FLOAT16:
            assert {node.op_type for node in readers[cast.output[0]]} <= {"LSTM", "MatMul"}
    direct = {node.op_type for item in model.graph.input for node in readers[item.name]}
    ring = any("past" in item.name for item in model.graph.input)
    assert ("Cast" in direct) != ring  # an LSTM's states are its own; a ring's are attention's


def test_cpu_parity_with_pytorch(halved):
    bundle, _, target = halved
    frames = bundle.reference["frames"].astype(np.float32)
    with StreamSession(target) as session:
        outputs = np.stack([session.step(frame) for frame in frames])
        rule = decision_rule(session.contract.frame, session.contract.output)
    parity = compare(bundle.reference["outputs"], outputs, rule)
    assert 1e-5 < parity.relative_error < RECIPE.tolerance.relative_error / 10
    assert parity.noise < RECIPE.tolerance.noise / 10
    assert parity.changed_decisions == 0


def test_parity_where_every_value_is_rounded(halved):
    """ONNX Runtime's CPU rounds weights only; the recipe's tolerance was taken from this."""
    bundle, name, target = halved
    frames = bundle.reference["frames"][:256].astype(np.float32)
    contract = bundle.variant(name).contract
    outputs = evaluate(target, contract, frames)
    reference = bundle.reference["outputs"][:256]
    parity = compare(reference, outputs, decision_rule(contract.frame, contract.output))
    assert 1e-4 < parity.relative_error < RECIPE.tolerance.relative_error / 5
    assert parity.noise < RECIPE.tolerance.noise / 5
    assert parity.changed_decisions == 0


def test_a_border_in_fp16_would_break_the_promise(tmp_path):
    """Glucose is 40 to 400 mg/dL: rounded to fp16 before normalisation it is no longer within."""
    bundle = load_bundle(GOLDEN / "glucose-transformer")
    frames = bundle.reference["frames"].astype(np.float32)
    rounded = frames.astype(np.float16).astype(np.float32)
    with StreamSession(bundle.path, variant="fp32") as session:
        exact = np.stack([session.step(frame) for frame in frames])
        session.reset()
        outputs = np.stack([session.step(frame) for frame in rounded]).astype(np.float16)
    parity = compare(
        exact,
        outputs.astype(np.float32),
        decision_rule(session.contract.frame, session.contract.output),
    )
    assert parity.noise > 1.5e-4, "of which all of fp16 between the weights has 0.9e-4"


def test_chunks_and_streams_agree_with_single_steps(halved):
    bundle, _, target = halved
    frames = bundle.reference["frames"][:90].astype(np.float32)
    with StreamSession(target) as alone:
        expected = np.stack([alone.step(frame) for frame in frames])
        tolerance = 1e-3 * math.sqrt(np.mean(expected**2))
        if alone.contract.chunk_max != 1:
            alone.reset()
            np.testing.assert_allclose(alone.run(frames), expected, atol=tolerance)
    with StreamSession(target, streams=3) as three:
        outputs = np.stack([three.step(np.stack([frame] * 3)) for frame in frames])
    for row in range(3):
        np.testing.assert_allclose(outputs[:, row], expected, atol=tolerance)


def test_only_recipe_and_producer_of_the_contract_change(halved, tmp_path):
    bundle, name, _ = halved
    halve_file(bundle.file(name), tmp_path / "x.onnx", RECIPE, producer="edgeseq 9.9")
    metadata = {prop.key: prop.value for prop in onnx.load(tmp_path / "x.onnx").metadata_props}
    contract = Contract.from_metadata(metadata, where="x")
    old = bundle.variant(name).contract
    assert contract == replace(old, recipe="fp16", producer="edgeseq 9.9")
    assert set(metadata) == {METADATA_KEY}


def plain(*nodes, constants=(), inputs=("x",), outputs=("y",), shape=(2, 2)):
    """Return a typed graph of float32 values of one shape."""
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs]
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in constants]
    graph = helper.make_graph(list(nodes), "g", info, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def matmul(left, right, to):
    return helper.make_node("MatMul", [left, right], [to], name=f"MatMul_{to}")


WEIGHT = ("w", np.array([[1, 2], [3, 4]], np.float32))


def test_a_constant_that_both_sides_read_is_kept_twice():
    model = plain(
        helper.make_node("Add", ["x", "w"], ["a"], name="before"),
        matmul("a", "w", "b"),
        helper.make_node("Relu", ["b"], ["c"], name="between"),
        matmul("c", "w", "d"),
        helper.make_node("Add", ["d", "w"], ["y"], name="after"),
        constants=[WEIGHT],
    )
    assert float32_nodes(model) == {"before", "after"}
    halve(model)
    onnx.checker.check_model(model, full_check=True)
    kept = {item.name: item.data_type for item in model.graph.initializer}
    assert kept == {"w": TensorProto.FLOAT, "w_fp16": TensorProto.FLOAT16}
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 2
    kinds = types(model)
    assert [kinds[name] for name in "abcd"] == [TensorProto.FLOAT] + [TensorProto.FLOAT16] * 3
    (y,) = ReferenceEvaluator(model).run(None, {"x": np.eye(2, dtype=np.float32)})
    w = WEIGHT[1]
    np.testing.assert_array_equal(y, np.maximum((np.eye(2) + w) @ w, 0) @ w + w)


def test_a_value_that_is_returned_and_read_on():
    model = plain(
        matmul("x", "w", "h"),
        helper.make_node("Relu", ["h"], ["c"], name="relu"),
        matmul("c", "w", "y"),
        constants=[WEIGHT],
        outputs=("h", "y"),
    )
    halve(model)
    onnx.checker.check_model(model, full_check=True)
    assert sum(node.op_type == "Cast" for node in model.graph.node) == 3, "x, h and y, once each"
    h, y = ReferenceEvaluator(model).run(None, {"x": np.eye(2, dtype=np.float32)})
    assert h.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(y, np.maximum(h, 0) @ WEIGHT[1])


def test_a_weight_too_large_for_fp16_is_refused(tmp_path):
    big = ("w", np.array([[1, 2], [3, 7e4]], np.float32))
    onnx.save(plain(matmul("x", "w", "y"), constants=[big]), tmp_path / "big.onnx")
    with pytest.raises(PromiseError) as error:
        halve_file(tmp_path / "big.onnx", tmp_path / "out.onnx", RECIPE)
    assert "w holds 7e+04, more than fp16's 65504; nothing was written" in str(error.value)
    assert not (tmp_path / "out.onnx").exists()


def test_minus_infinity_is_no_overflow():
    model = plain(
        matmul("x", "w", "a"),
        helper.make_node("Max", ["a", "m"], ["b"], name="max"),
        matmul("b", "w", "y"),
        constants=[WEIGHT, ("m", np.full((2, 2), -np.inf, np.float32))],
    )
    halve(model)
    assert any(np.isinf(onnx.numpy_helper.to_array(i)).all() for i in model.graph.initializer)


def test_a_graph_without_weights_would_be_fp16_in_name_only():
    with pytest.raises(PromiseError, match="fp16 in name only"):
        halve(plain(helper.make_node("Relu", ["x"], ["y"], name="relu")))


def test_branches_are_refused():
    then = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "t", [], [
        helper.make_tensor_value_info("t", TensorProto.FLOAT, (2, 2))
    ])  # fmt: skip
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=then)
    model = plain(node, constants=[("c", np.array(True))])
    with pytest.raises(ModelError, match="branches or loops"):
        halve(model)


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "cut.onnx").write_bytes((GOLDEN / "har-lstm/model.onnx").read_bytes()[:500])
    with pytest.raises(ModelError) as error:
        halve_file(tmp_path / "cut.onnx", tmp_path / "out.onnx", RECIPE)
    assert "cut.onnx" in str(error.value)
