"""fp32 ONNX file → the same file in integers, each weight in the scheme that the recipe says."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeseq import files
from edgeseq.contract import Contract
from edgeseq.errors import PromiseError, UsageError
from edgeseq.extras import require
from edgeseq.graph.build import write_contract
from edgeseq.graph.census import take_census
from edgeseq.graph.edit import copied
from edgeseq.graph.names import shorten
from edgeseq.graph.reasons import in_words
from edgeseq.graph.weights import all_nodes
from edgeseq.measured import Census
from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.dynamic import quantize_dynamic
from edgeseq.quantize.gemm import take_gemms_apart
from edgeseq.quantize.lookups import store_once
from edgeseq.quantize.nbits import OLDEST, quantize_in_blocks
from edgeseq.quantize.portable import require_portable
from edgeseq.quantize.products import weight_names, weights_of
from edgeseq.quantize.source import read, renamed_contract
from edgeseq.quantize.static import quantize_static
from edgeseq.recipes import Quantization, Recipe, matches

if TYPE_CHECKING:
    from onnx import ModelProto

Array = NDArray[np.float32]

_NOISE = ("onnx.infer",)
"""Metadata that tools leave behind."""
_BITS = {"weights8": 8, "weights4": 4}
"""Of the schemes that store weights in blocks."""


def quantize_file(
    source: Path,
    target: Path,
    recipe: Recipe,
    *,
    producer: str = "",
    streams: Sequence[Array] = (),
) -> Census:
    """Quantize the ONNX file `source` to `target` as `recipe` says; return what runs in integers.

    The contract of `source`, if it has one, is kept; only its recipe and producer change.

    Args:
        source: an fp32 file, whose weights are initializers of their operators.
        target: where the quantized file goes, written atomically.
        recipe: one with a `[quantize]` that makes integers.
        producer: who quantizes; empty: the producer of `source`.
        streams: recordings `(T, F)` in raw units to calibrate on; only `static` needs them.

    Raises:
        PromiseError: most weights would still run in fp32, or the answer would depend on the CPU,
            which the recipe promises it does not; nothing was written.
        UsageError: the recipe makes no integers, names weights that the file does not have, or
            calibrates without recordings.
        ModelError: the file cannot be read, quantized or loaded.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    how = recipe.quantize
    if how is None or how.precision == "fp16":
        raise UsageError(f'the recipe "{recipe.name}" does not quantize; try: int8-dynamic')
    model = read(source)
    contract = renamed_contract(model, recipe, producer, source)
    quantized = quantize_model(model, how, str(source), streams=streams)
    contract = contract and _with_oldest(contract, quantized)
    require_portable(quantized, recipe, source)
    _clean(quantized, contract, str(model.producer_name), str(model.producer_version))
    data = quantized.SerializeToString()
    with TemporaryDirectory() as scratch:
        trial = Path(scratch, source.name)
        trial.write_bytes(data)
        census = take_census(trial)
    _require_int8(census, how, source)
    files.write_bytes(target, data)
    return census


def quantize_model(
    model: "ModelProto",
    how: Quantization,
    where: str = "the model",
    *,
    streams: Sequence[Array] = (),
) -> "ModelProto":
    """Return a copy of `model` with every weight in its scheme; `where` names it in errors.

    Static comes first: it calibrates on the fp32 graph. Blocks come last: ONNX Runtime's tool,
    which makes the dynamic ones, need not read operators that are not ONNX's.
    """
    require_known(how, model, where)
    parts = take_apart(model, _inside_operators(model, how))
    integers = {name for name in weight_names(parts) if how.scheme(name) != "fp32"}
    parts = _named(take_gemms_apart(parts, integers))
    wanted: dict[str, list[str]] = {}
    for name in weight_names(parts):
        wanted.setdefault(how.scheme(name), []).append(name)
    if "static" in wanted:
        if not streams:
            raise UsageError(
                f"cannot quantize {where}: the scheme static needs recordings to calibrate on. "
                "Quantize a bundle with edgeseq quantize, or pass streams to quantize_file"
            )
        parts = quantize_static(parts, how, streams)
    if "dynamic" in wanted:
        parts = quantize_dynamic(parts, wanted["dynamic"], how, where)
    parts = store_once(parts)
    blocks = {name: bits for scheme, bits in _BITS.items() for name in wanted.get(scheme, ())}
    return quantize_in_blocks(parts, blocks, how.block) if blocks else parts


def require_known(how: Quantization, model: "ModelProto", where: str = "the model") -> None:
    """Refuse exceptions for weights that `model` does not have."""
    names = weight_names(model)
    unknown = [pattern for pattern in how.nodes if not any(matches(n, pattern) for n in names)]
    if unknown:
        raise UsageError(
            f"{where} has no weight {' or '.join(map(repr, unknown))}, which the recipe's nodes "
            f"name; it has: {', '.join(names) or 'none'}"
        )


def _inside_operators(model: "ModelProto", how: Quantization) -> set[str]:
    """Return weights that need products of their own.

    ONNX Runtime's int8 LSTM has both weights in one scheme, which is `dynamic`; its GRU has none.
    """
    found: set[str] = set()
    for node in model.graph.node:
        names = weights_of(node)
        schemes = {how.scheme(name) for name in names}
        as_it_is = {"LSTM": ({"fp32"}, {"dynamic"}), "GRU": ({"fp32"},)}.get(node.op_type)
        if as_it_is is not None and schemes not in as_it_is:
            found |= set(names)
    return found


def _named(model: "ModelProto") -> "ModelProto":
    """Return a copy whose nodes all have names of their own: the tools find them by name."""
    result = copied(model)
    seen: set[str] = set()
    for node in all_nodes(result.graph):
        node.name = node.name or f"{node.op_type}_{node.output[0]}"
        while node.name in seen:
            node.name += "_"
        seen.add(node.name)
    return result


def _with_oldest(contract: Contract, model: "ModelProto") -> Contract:
    """Return the contract with the oldest ONNX Runtime that has all operators of `model`."""
    bits = {
        attribute.i
        for node in all_nodes(model.graph)
        if node.op_type == "MatMulNBits"
        for attribute in node.attribute
        if attribute.name == "bits"
    }
    releases = [contract.min_onnxruntime, *(OLDEST[number] for number in bits)]
    newest = max(releases, key=lambda release: [int(part) for part in release.split(".")])
    return dataclasses.replace(contract, min_onnxruntime=newest)


def _clean(
    model: "ModelProto", contract: Contract | None, producer: str, producer_version: str
) -> None:
    """Put back what the tool overwrote, drop what nobody reads, and write the new contract."""
    shorten(model)
    model.producer_name = producer
    model.producer_version = contract.producer if contract else producer_version
    properties = {key: value for key, value in _properties(model).items() if key not in _NOISE}
    require("onnx").helper.set_model_props(model, properties)
    if contract:
        write_contract(model, contract)


def _properties(model: Any) -> dict[str, str]:  # noqa: ANN401 - ModelProto is untyped here
    return {prop.key: prop.value for prop in model.metadata_props}


def _require_int8(census: Census, how: Quantization, source: Path) -> None:
    if census.int8_weights >= how.int8_share and not census.in_name_only:
        return
    reasons = "; ".join(in_words(census.in_name_only or census.reasons, most=3))
    raise PromiseError(
        f"{source.name} would be {how.precision} in name only: {1 - census.int8_weights:.0%} of "
        f"its weights still run in fp32 in ONNX Runtime {census.onnxruntime} ({reasons}); nothing "
        "was written. The quantizer sees only weights that are initializers of LSTM, GRU or "
        "MatMul: make the graph with edgeseq export, or fold its constants first"
    )
