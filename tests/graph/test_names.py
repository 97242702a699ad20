"""Short names change no answer, and leave what people speak of."""

import numpy as np
import onnx
import pytest
from export.small import Loop, frames_of, graph_of, model_of

from edgeseq.graph.names import shorten
from edgeseq.graph.weights import all_nodes, weight_uses
from edgeseq.quantize.apart import take_apart


@pytest.mark.parametrize("name", ["lstm", "gru", "transformer"])
def test_answers_and_speaking_names_stay(name):
    long = take_apart(graph_of(name))  # the bodies of loops included
    short = onnx.ModelProto()
    short.CopyFrom(long)
    shorten(short)
    onnx.checker.check_model(short, full_check=True)
    frames = frames_of(model_of(name), streams=2, length=9)
    given, expected = (Loop(model).run(frames, [4, 5])[0] for model in (short, long))
    np.testing.assert_array_equal(given, expected)
    assert short.ByteSize() < long.ByteSize()
    assert [use.node for use in weight_uses(short)] == [use.node for use in weight_uses(long)]
    for part in ("input", "output", "initializer"):
        names = [item.name for item in getattr(short.graph, part)]
        assert names == [item.name for item in getattr(long.graph, part)]


def test_a_number_that_is_taken_is_passed_over():
    helper = onnx.helper
    nodes = [helper.make_node("Neg", ["0"], ["long"]), helper.make_node("Neg", ["long"], ["2"])]
    values = [helper.make_tensor_value_info(name, 1, [1]) for name in ("0", "2")]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:]))
    shorten(model)
    assert [(*node.input, *node.output) for node in all_nodes(model.graph)] == [
        ("0", "1"),
        ("1", "2"),
    ]
