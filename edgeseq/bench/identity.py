"""A step graph that does nothing, so that a runtime's own cost can be told from a model's."""

import json

from edgeseq.contract import METADATA_KEY, Contract, Frame, Output, State

_FLOAT = 1  # TensorProto.DataType.FLOAT


def identity_contract() -> Contract:
    """Return the contract of the do-nothing graph: one value in, the same value out."""
    return Contract(
        frame=Frame(channels=("x",), units=("1",), sample_rate_hz=1.0),
        output=Output(kind="value", labels=("x",)),
        states=(State("h0", "next_h0", ("N", "1"), "float32", "passed through"),),
        form="step",
        min_onnxruntime="1.14",
        producer="edgeseq bench",
        recipe="identity",
    )


def identity_onnx() -> bytes:
    """Return the graph as ONNX; written field by field, so that no `onnx` package is needed.

    Field numbers are those of `onnx.proto3`: ModelProto ir_version 1, graph 7, opset_import 8,
    metadata_props 14; GraphProto node 1, name 2, input 11, output 12.
    """
    contract = identity_contract()
    text = json.dumps(contract.to_json())
    graph = (
        _node("frames", "logits")
        + _node("h0", "next_h0")
        + _field(2, b"identity")
        + _field(11, _tensor("frames", ("N", "T", 1)))
        + _field(11, _tensor("h0", ("N", 1)))
        + _field(12, _tensor("logits", ("N", "T", 1)))
        + _field(12, _tensor("next_h0", ("N", 1)))
    )
    metadata = _field(1, METADATA_KEY.encode()) + _field(2, text.encode())
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 15)) + _field(14, metadata)


def _node(source: str, target: str) -> bytes:
    return _field(
        1, _field(1, source.encode()) + _field(2, target.encode()) + _field(4, b"Identity")
    )


def _tensor(name: str, shape: tuple[str | int, ...]) -> bytes:
    """Encode a float32 ValueInfoProto."""
    sizes = b"".join(
        _field(1, _field(2, size.encode()) if isinstance(size, str) else _number(1, size))
        for size in shape
    )
    kind = _number(1, _FLOAT) + _field(2, sizes)
    return _field(1, name.encode()) + _field(2, _field(1, kind))


def _field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _number(number: int, value: int) -> bytes:
    """Encode a varint protobuf field."""
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    return bytes([value & 0x7F | 0x80]) + _varint(value >> 7)
