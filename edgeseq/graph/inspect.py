"""What is inside any ONNX file: inputs, outputs, state, operators, bytes, and what is int8."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseq.contract import Contract
from edgeseq.errors import EdgeseqError, ModelError
from edgeseq.extras import require
from edgeseq.graph.build import read_contract
from edgeseq.graph.census import take_census
from edgeseq.graph.portable import Dependence, dependences
from edgeseq.graph.states import StatePair, Value, guess_states
from edgeseq.graph.weights import WeightUse, all_nodes, bits, operators, subgraphs, weight_uses
from edgeseq.measured import Census

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto


@dataclass(frozen=True)
class Initializer:
    """A constant that the file holds."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    used_by: str
    """Operator of the first node that reads it; empty where none does."""
    external: bool = False
    """Its bytes lie in another file."""


@dataclass(frozen=True)
class Sizes:
    """What a file's bytes are."""

    weights: int
    """Tensors that nodes multiply by, as they are stored."""
    constants: int
    """All other tensors: biases, scales and zero points of integers, tables."""
    metadata: int
    """The contract, and whatever else is written beside the graph."""
    graph: int
    """The rest: nodes, names, shapes."""

    @property
    def total(self) -> int:
        """The file."""
        return self.weights + self.constants + self.metadata + self.graph


@dataclass(frozen=True)
class Inspection:
    """What can be said of an ONNX file without its author."""

    file: str
    bytes: int
    """Size of the file, without external data."""
    sizes: Sizes
    """What these bytes are; tensors in external data are no part of them."""
    producer: str
    ir_version: int
    opsets: dict[str, int]
    """Version by domain; ONNX's own domain is called `ai.onnx`."""
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    states: tuple[StatePair, ...]
    contract: Contract | None
    contract_missing: str
    """Why there is no contract; empty where there is one."""
    operators: dict[str, int]
    """Nodes by operator, subgraphs included, the most frequent first."""
    bytes_by_operator: dict[str, int]
    """Bytes of constants by the operator that reads them first, the largest first."""
    initializers: tuple[Initializer, ...]
    """The largest first."""
    weights: int
    """Weights that nodes multiply by."""
    stored_int8: float
    """Share of them that the file stores in 8 bits or fewer, 0 to 1."""
    optimised: Census | None
    """What ONNX Runtime makes of the file here."""
    optimised_missing: str
    """Why there is no such census; empty where there is one."""
    depends_on_cpu: tuple[Dependence, ...] | None
    """What of it answers differently on different CPUs; empty where only floats round."""
    depends_on_cpu_missing: str
    """Why that is not known; empty where it is."""

    def to_json(self) -> dict[str, Any]:
        """Return the inspection as JSON values."""
        table: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return table


def inspect_model(path: Path | str) -> Inspection:
    """Look into the ONNX file at `path`.

    Raises:
        ModelError: it is missing, cut, or not ONNX.
        MissingExtraError: onnx is not installed.
    """
    path = Path(path)
    model = _read(path)
    inputs, outputs = _values(_fed(model.graph)), _values(model.graph.output)
    contract, contract_missing = _contract(model, path)
    census, census_missing = _census(path)
    depends, depends_missing = _dependences(model)
    initializers = _initializers(model)
    uses = weight_uses(model)
    weights = sum(use.elements for use in uses)
    return Inspection(
        file=str(path),
        bytes=path.stat().st_size,
        sizes=_sizes(model, path.stat().st_size, initializers, uses),
        producer=_producer(model),
        ir_version=model.ir_version,
        opsets={item.domain or "ai.onnx": item.version for item in model.opset_import},
        inputs=inputs,
        outputs=outputs,
        states=_states(contract, inputs, outputs),
        contract=contract,
        contract_missing=contract_missing,
        operators=operators(model),
        bytes_by_operator=_bytes_by_operator(initializers),
        initializers=initializers,
        weights=weights,
        stored_int8=sum(use.stored for use in uses) / weights if weights else 0.0,
        optimised=census,
        optimised_missing=census_missing,
        depends_on_cpu=depends,
        depends_on_cpu_missing=depends_missing,
    )


def _read(path: Path) -> "ModelProto":
    onnx = require("onnx")
    if not path.is_file():
        raise ModelError(f"{path} is not a file. Give the path of an ONNX file")
    try:
        model: ModelProto = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf and the system each raise their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} is cut, damaged or not ONNX ({reason}). {_AGAIN}") from None
    # Any bytes may happen to be a message; one without operators or a version is no model.
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path} is cut, damaged or not ONNX (it has no graph). {_AGAIN}")
    return model


_AGAIN = "Copy it again, or export again"


def _producer(model: "ModelProto") -> str:
    name, version = str(model.producer_name), str(model.producer_version)
    return version if version.startswith(name) else f"{name} {version}".strip()


def _fed(graph: "GraphProto") -> list["ValueInfoProto"]:
    """Return the inputs that a caller feeds: old files list initializers among the inputs."""
    held = {item.name for item in graph.initializer}
    return [value for value in graph.input if value.name not in held]


def _values(values: "Sequence[ValueInfoProto]") -> tuple[Value, ...]:
    return tuple(Value(value.name, _dtype(value), _shape(value)) for value in values)


def _dtype(value: "ValueInfoProto") -> str:
    kind = value.type.WhichOneof("value") or "unknown"
    if kind != "tensor_type":
        return str(kind).removesuffix("_type")
    return _dtype_name(value.type.tensor_type.elem_type)


def _dtype_name(dtype: int) -> str:
    name: str = require("onnx").TensorProto.DataType.Name(dtype).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _shape(value: "ValueInfoProto") -> tuple[str, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        str(item.dim_value) if item.HasField("dim_value") else item.dim_param or "?"
        for item in tensor.shape.dim
    )


def _contract(model: "ModelProto", path: Path) -> tuple[Contract | None, str]:
    try:
        contract = read_contract(model, path.name)
    except ModelError as error:
        return None, str(error).splitlines()[0]
    return contract, "" if contract else "the file carries none"


def _census(path: Path) -> tuple[Census | None, str]:
    try:
        return take_census(path), ""
    except EdgeseqError as error:
        return None, str(error)


def _dependences(model: "ModelProto") -> tuple[tuple[Dependence, ...] | None, str]:
    try:
        return dependences(model), ""
    except (ValueError, require("onnx").checker.ValidationError):  # a path that leads elsewhere
        return None, "its weights lie in other files"


def _states(
    contract: Contract | None, inputs: tuple[Value, ...], outputs: tuple[Value, ...]
) -> tuple[StatePair, ...]:
    if contract is None:
        return guess_states(inputs, outputs)
    return tuple(StatePair(state.input, state.output, guessed=False) for state in contract.states)


def _initializers(model: "ModelProto") -> tuple[Initializer, ...]:
    readers: dict[str, str] = {}
    for node in all_nodes(model.graph):
        for name in node.input:
            readers.setdefault(name, node.op_type)
    found = [
        Initializer(
            name=tensor.name,
            dtype=_dtype_name(tensor.data_type),
            shape=tuple(tensor.dims),
            bytes=math.ceil(math.prod(tensor.dims) * bits(tensor.data_type) / 8),
            used_by=readers.get(tensor.name, ""),
            external=len(tensor.external_data) > 0,
        )
        for tensor in _tensors(model.graph)
    ]
    return tuple(sorted(found, key=lambda item: (-item.bytes, item.name)))


def _tensors(graph: "GraphProto") -> "list[TensorProto]":
    """Return the initializers and Constant nodes of `graph` and of the graphs in its nodes."""
    tensors = list(graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    tensors.append(type(attribute.t)())
                    tensors[-1].CopyFrom(attribute.t)
                    tensors[-1].name = node.output[0]
        for inner in subgraphs(node):
            tensors += _tensors(inner)
    return tensors


def file_sizes(path: Path | str) -> Sizes:
    """Return what the bytes of the ONNX file at `path` are; `ModelError` as `inspect_model`."""
    path = Path(path)
    model = _read(path)
    return _sizes(model, path.stat().st_size, _initializers(model), weight_uses(model))


def _sizes(
    model: "ModelProto",
    total: int,
    initializers: tuple[Initializer, ...],
    uses: Sequence[WeightUse],
) -> Sizes:
    sources = {source for use in uses for source in use.sources}
    held = [item for item in initializers if not item.external]
    weights = sum(item.bytes for item in held if item.name in sources)
    constants = sum(item.bytes for item in held) - weights
    metadata = sum(
        len(item.key.encode()) + len(item.value.encode()) for item in model.metadata_props
    )
    return Sizes(weights, constants, metadata, total - weights - constants - metadata)


def _bytes_by_operator(initializers: tuple[Initializer, ...]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for item in initializers:
        total[item.used_by or "(unused)"] += item.bytes
    return dict(total.most_common())
