"""Short names for what only a graph itself speaks of: names are a tenth of a small int8 file."""

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

from edgeseq.graph.weights import all_graphs, all_nodes, weight_uses

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

_MULTIPLY = ("Attention", "MatMul")
"""Operators that the census names even where they have no weights."""


def shorten(model: "ModelProto") -> None:
    """Number the values between nodes, in place, and drop the names of nodes that multiply nothing.

    Inputs, outputs and constants keep their names, and so do the nodes that multiply: people and
    reports speak of these.
    """
    graphs = tuple(all_graphs(model.graph))
    kept = {item.name for item in (*model.graph.input, *model.graph.output)}
    kept |= {item.name for graph in graphs for item in graph.initializer}
    speaking = {use.node for use in weight_uses(model)}
    numbers = (number for index in count() if (number := str(index)) not in kept)
    short = {name: next(numbers) for name in dict.fromkeys(_made(graphs)) if name not in kept}
    for node in all_nodes(model.graph):
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
        if node.name not in speaking and node.op_type not in _MULTIPLY:
            node.name = ""
    for body in graphs[1:]:
        for value in (*body.input, *body.output):
            value.name = short.get(value.name, value.name)
    for graph in graphs:
        del graph.value_info[:]  # shapes that ONNX Runtime infers again, under older names


def _made(graphs: "tuple[GraphProto, ...]") -> Iterator[str]:
    """Yield the values that nodes make, and what the bodies of nodes are given."""
    for graph in graphs:
        yield from (item.name for item in graph.input)
        yield from (name for node in graph.node for name in node.output if name)
