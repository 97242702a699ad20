"""Graphs written by hand: unique names, two number types, one contract."""

import json

import numpy as np
import onnx
import pytest
from export.small import graph_of

from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.graph.build import GraphBuilder, write_contract


def test_constants_are_float32_or_int64():
    graph = GraphBuilder()
    assert graph.constant(np.ones((2, 3), np.float64), "a") == "a"
    assert graph.constant([1, 2], "b") == "b"
    assert graph.constant(True) == "const__2"
    types = [tensor.data_type for tensor in graph._initializers.values()]
    assert types == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.INT64]


def test_two_constants_of_one_name_are_a_mistake():
    graph = GraphBuilder()
    graph.constant(1, "one")
    with pytest.raises(ValueError, match="two initializers are called one"):
        graph.constant(2, "one")


def test_value_names_are_unique():
    graph = graph_of("transformer").graph
    written = [name for node in graph.node for name in node.output]
    written += [item.name for item in (*graph.initializer, *graph.input)]
    assert len(written) == len(set(written))
    read = {name for node in graph.node for name in node.input}
    assert {item.name for item in graph.initializer} <= read, "an initializer that nobody reads"


def test_a_prefix_begins_the_names_it_gives_and_no_others():
    graph = GraphBuilder("part_")
    parts = graph.split(graph.input("x", "float32", [2]), [1, 1], axis=0)
    assert graph.op("Add", *parts) == "part_Add_1"
    assert graph.op("Neg", "part_Add_1", to="y") == "y"
    body = graph.graph("body")
    assert list(parts) == ["part_split_0_0", "part_split_0_1"]
    assert [node.name for node in body.node] == ["part_Split_0", "part_Add_1", "part_Neg_2"]
    assert [item.name for item in body.initializer] == ["part_const_2_0"]


def test_a_contract_is_replaced_and_the_rest_kept():
    model = onnx.ModelProto()
    model.CopyFrom(graph_of("lstm"))
    props = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, {**props, "owner": "somebody"})
    table = json.loads(props[METADATA_KEY])
    write_contract(model, Contract.from_json({**table, "recipe": "other"}, where="test"))
    after = {prop.key: prop.value for prop in model.metadata_props}
    assert after.keys() == {"owner", METADATA_KEY}
    assert json.loads(after[METADATA_KEY]) == {**table, "recipe": "other"}
