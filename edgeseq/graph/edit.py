"""Steps that every rewrite of a graph takes: a copy, a free name, constants that go."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from edgeseq.extras import require
from edgeseq.graph.weights import all_graphs, all_nodes

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def copied(model: "ModelProto") -> "ModelProto":
    """Return a copy that may be changed."""
    result: ModelProto = require("onnx").ModelProto()
    result.CopyFrom(model)
    return result


def free_name(name: str, taken: set[str]) -> str:
    """Return `name`, or the first longer one that is not `taken`, and take it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def drop_unused(graph: "GraphProto", names: Collection[str]) -> None:
    """Remove the constants called `names` that nothing reads any more, in bodies, too."""
    for part in all_graphs(graph):
        used = {name for node in all_nodes(part) for name in node.input}
        used |= {item.name for item in part.output}
        kept = [item for item in part.initializer if item.name in used or item.name not in names]
        del part.initializer[:]
        part.initializer.extend(kept)


def ranks(graph: "GraphProto") -> dict[str, int]:
    """Return the number of dimensions of a graph's own values, where its shapes tell."""
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }
