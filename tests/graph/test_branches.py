"""Values of branches, and of branches in branches, become the graph's own."""

import numpy as np
import onnxruntime as ort
import pytest
from graph.handmade import value
from onnx import TensorProto, helper

from edgeseq.graph.branches import expose


def branch(name, *nodes):
    return helper.make_graph(nodes, name, [], [value(name, (None,))])


def model_of():
    """`y` is -x if `a`, else |x| if `b`, else exp of x; the last by a value called `inner`."""
    node = helper.make_node
    inner = [node("Identity", ["x"], ["inner"]), node("Exp", ["inner"], ["exp"])]
    choice = {
        "then_branch": branch("abs", node("Abs", ["x"], ["abs"])),
        "else_branch": branch("exp", *inner),
    }
    other = branch("b_or_not", node("If", ["b"], ["b_or_not"], **choice))
    then = branch("neg", node("Neg", ["x"], ["outer"]), node("Identity", ["outer"], ["neg"]))
    nodes = [node("If", ["a"], ["y"], then_branch=then, else_branch=other)]
    inputs = [value("x", (None,)), *(value(name, (), TensorProto.BOOL) for name in "ab")]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", (None,))])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize(
    ("a", "b", "made"), [(1, 1, {"outer"}), (1, 0, {"outer"}), (0, 1, set()), (0, 0, {"inner"})]
)
def test_a_value_is_there_if_its_branch_is_taken_and_empty_if_not(a, b, made):
    model = model_of()
    shown = expose(model.graph, ["inner", "outer", "x", "nowhere"])
    assert shown.keys() == {"inner", "outer"}
    for name in shown.values():
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([-1.0, 2.0], np.float32)
    feeds = {"x": x, "a": np.array(bool(a)), "b": np.array(bool(b))}
    y, *values = session.run(["y", *shown.values()], feeds)
    np.testing.assert_allclose(y, -x if a else np.abs(x) if b else np.exp(x), rtol=1e-6)
    expected = {"outer": -x, "inner": x}
    for name, array in zip(shown, values, strict=True):
        np.testing.assert_array_equal(array, expected[name] if name in made else [])
