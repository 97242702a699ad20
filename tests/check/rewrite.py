"""Changing a file of a bundle as a wrong exporter would."""

from collections.abc import Callable
from dataclasses import replace

import onnx

from edgeseq.bundle import Bundle, load_bundle, write_manifest
from edgeseq.contract import Contract
from edgeseq.files import sha256
from edgeseq.graph.build import write_contract


def rewrite(
    bundle: Bundle,
    change: Callable[[onnx.ModelProto], object],
    *,
    variant: str = "fp32",
    contract: Callable[[Contract], Contract] = lambda contract: contract,
    manifest: bool = True,
) -> Bundle:
    """Change a variant's graph and contract as a wrong exporter would: with a right hash."""
    old = bundle.variant(variant)
    path = bundle.file(variant)
    model = onnx.load(path)
    change(model)
    new = contract(old.contract)
    write_contract(model, new)
    onnx.save(model, path)
    changed = replace(old, sha256=sha256(path), contract=new if manifest else old.contract)
    write_manifest(
        bundle.path,
        replace(bundle.manifest, variants={**bundle.manifest.variants, variant: changed}),
    )
    return load_bundle(bundle.path)
