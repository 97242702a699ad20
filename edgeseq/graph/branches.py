"""Values inside the branches of an `If`, shown outside."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from edgeseq.extras import require

if TYPE_CHECKING:
    from onnx import GraphProto, ValueInfoProto


def expose(graph: "GraphProto", names: Collection[str]) -> dict[str, str]:
    """Make every `If` of `graph` return the float32 values `names` of its branches.

    A call that does not take a branch makes nothing of its values: they are empty then.

    Args:
        graph: changed in place.
        names: values of branches, also of branches in branches; others are left alone.

    Returns:
        What each value that was found is called in `graph`.
    """
    shown: dict[str, str] = {}
    for node in graph.node:
        if node.op_type != "If":
            continue
        branches = [item.g for item in node.attribute if item.HasField("g")]
        for branch in branches:
            for name, inside in _inside(branch, names).items():
                for other in branches:
                    value = inside if other is branch else _nothing(other, inside)
                    other.output.append(_value(value))
                shown[name] = f"{inside}_outside"
                node.output.append(shown[name])
    return shown


def _inside(branch: "GraphProto", names: Collection[str]) -> dict[str, str]:
    """Return those of `names` that `branch` makes, and what they are called in it."""
    made = {name: name for node in branch.node for name in node.output if name in names}
    return made | expose(branch, names)


def _nothing(branch: "GraphProto", name: str) -> str:
    """Add an empty value to `branch`, called after `name`."""
    helper, numpy_helper = (getattr(require("onnx"), part) for part in ("helper", "numpy_helper"))
    empty = numpy_helper.from_array(np.zeros(0, np.float32))
    branch.node.append(helper.make_node("Constant", [], [f"{name}_not_made"], value=empty))
    return f"{name}_not_made"


def _value(name: str) -> "ValueInfoProto":
    onnx = require("onnx")
    value: ValueInfoProto = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    return value
