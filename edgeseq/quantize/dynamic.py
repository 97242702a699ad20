"""fp32 ONNX file → int8 ONNX file, its activations quantized on the fly."""

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgeseq import files
from edgeseq.bundle import Census
from edgeseq.contract import METADATA_KEY, Contract
from edgeseq.errors import ModelError, PromiseError, UsageError
from edgeseq.extras import require
from edgeseq.graph.build import write_contract
from edgeseq.graph.census import take_census
from edgeseq.quantize.gru import take_apart
from edgeseq.quantize.portable import require_portable
from edgeseq.recipes import Quantization, Recipe

if TYPE_CHECKING:
    from onnx import ModelProto

_ADVICE = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Metadata that stops the tool from advising its own pre-processing on the root logger."""
_NOISE = ("onnx.infer", *_ADVICE)
"""Metadata that the tool leaves behind."""


def quantize_file(source: Path, target: Path, recipe: Recipe, *, producer: str = "") -> Census:
    """Quantize the ONNX file `source` to `target` as `recipe` says; return what runs in int8.

    The contract of `source`, if it has one, is kept; only its recipe and producer change.

    Args:
        source: an fp32 file, whose weights are initializers of their operators.
        target: where the int8 file goes, written atomically.
        recipe: one with a `[quantize]`.
        producer: who quantizes; empty: the producer of `source`.

    Raises:
        PromiseError: most weights would still run in fp32, or the answer would depend on the CPU,
            which the recipe promises it does not; nothing was written.
        ModelError: the file cannot be read, quantized or loaded.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    how = recipe.quantize
    if how is None or how.precision != "int8":
        raise UsageError(f'the recipe "{recipe.name}" does not quantize; try: int8-dynamic')
    model = _read(source)
    contract = _contract(model, recipe, producer, source)
    quantized = _quantize(model, how, source)
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


def _read(source: Path) -> "ModelProto":
    onnx = require("onnx")
    try:
        model: ModelProto = onnx.load(source)
    except Exception as error:  # protobuf, onnx and the system each raise their own
        raise ModelError(
            f"cannot read {source} as ONNX: {str(error) or type(error).__name__}. "
            "If the file is cut or damaged, export again"
        ) from None
    return model


def _contract(model: "ModelProto", recipe: Recipe, producer: str, source: Path) -> Contract | None:
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    if METADATA_KEY not in metadata:
        return None
    contract = Contract.from_metadata(metadata, where=str(source))
    return dataclasses.replace(contract, recipe=recipe.name, producer=producer or contract.producer)


def _quantize(model: "ModelProto", how: Quantization, source: Path) -> "ModelProto":
    onnx, tool = require("onnx"), require("onnxruntime.quantization")
    if "MatMul" in how.operators:
        model = take_apart(model)
    onnx.helper.set_model_props(model, _properties(model) | _ADVICE)
    with TemporaryDirectory() as scratch:
        result = Path(scratch, "int8.onnx")
        try:
            tool.quantize_dynamic(
                model,
                result,
                op_types_to_quantize=list(how.operators),
                per_channel=how.per_channel,
                reduce_range=how.reduce_range,
                weight_type={"s8": tool.QuantType.QInt8, "u8": tool.QuantType.QUInt8}[how.weights],
                extra_options={"EnableSubgraph": True},  # the body of a GRU's Scan
            )
            quantized: ModelProto = onnx.load(result)
        except Exception as error:  # the tool lets through whatever it runs into
            raise ModelError(
                f"ONNX Runtime's quantizer failed on {source}: "
                f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            ) from None
    return quantized


def _clean(
    model: "ModelProto", contract: Contract | None, producer: str, producer_version: str
) -> None:
    """Put back what the tool overwrote, and write the new contract."""
    model.producer_name = producer
    model.producer_version = contract.producer if contract else producer_version
    properties = {key: value for key, value in _properties(model).items() if key not in _NOISE}
    require("onnx").helper.set_model_props(model, properties)
    if contract:
        write_contract(model, contract)


def _properties(model: Any) -> dict[str, str]:  # noqa: ANN401 - ModelProto is untyped here
    return {prop.key: prop.value for prop in model.metadata_props}


def _require_int8(census: Census, how: Quantization, source: Path) -> None:
    if census.int8_weights >= how.int8_share:
        return
    nodes = ", ".join(census.float_nodes[:3]) + (" …" if len(census.float_nodes) > 3 else "")
    raise PromiseError(
        f"{source.name} would be int8 in name only: {1 - census.int8_weights:.0%} of its weights "
        f"still run in fp32 in ONNX Runtime {census.onnxruntime} ({nodes}); nothing was written. "
        "The quantizer sees only weights that are initializers of LSTM, GRU or MatMul: make the "
        "graph with edgeseq export, or fold its constants first"
    )
