"""Bundles to break: fp32, int8, fixed sizes, no state; and one way to rewrite a file of them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from edgeseq.bench.latency import HotSettings
from edgeseq.bundle import Bundle, load_bundle, write_manifest
from edgeseq.contract import Contract
from edgeseq.files import sha256
from edgeseq.graph.build import write_contract
from edgeseq.workflows.export import ExportSettings, export_run
from edgeseq.workflows.quantize import quantize_bundle

FAMILIES = ("lstm", "transformer")


@pytest.fixture(scope="session")
def bundle_of(lstm_bundle: Bundle, transformer_bundle: Bundle) -> dict[str, Bundle]:
    return {"lstm": lstm_bundle, "transformer": transformer_bundle}


@pytest.fixture(scope="session")
def int8_of(bundle_of, tmp_path_factory) -> dict[str, Bundle]:
    """The same with int8 twins."""
    folder = tmp_path_factory.mktemp("int8")
    for family, bundle in bundle_of.items():
        shutil.copytree(bundle.path, folder / family)
        quantize_bundle(folder / family, accuracy=False, hot=HotSettings(rounds=1))
    return {family: load_bundle(folder / family) for family in bundle_of}


@pytest.fixture(scope="session")
def exported(run_of, tmp_path_factory) -> Callable[..., Bundle]:
    """Export a family with settings."""

    def export(family: str, **settings) -> Bundle:
        out = tmp_path_factory.mktemp("forms") / family
        return export_run(run_of[family], out, ExportSettings(**settings))

    return export


@pytest.fixture
def copy_of(tmp_path) -> Callable[[Bundle], Bundle]:
    """Copy a bundle, so that it may be changed."""

    def copy(bundle: Bundle) -> Bundle:
        shutil.copytree(bundle.path, tmp_path / "copy")
        return load_bundle(tmp_path / "copy")

    return copy


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
        Path(bundle.path),
        replace(bundle.manifest, variants={**bundle.manifest.variants, variant: changed}),
    )
    return load_bundle(bundle.path)
