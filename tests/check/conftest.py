"""Bundles to break: fp32, int8, fixed sizes, no state."""

import shutil
from collections.abc import Callable

import pytest

from edgeseq.bench.latency import HotSettings
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.workflows.export import ExportSettings, export_run
from edgeseq.workflows.quantize import quantize_bundle


@pytest.fixture(scope="session")
def bundle_of(
    lstm_bundle: Bundle, gru_bundle: Bundle, transformer_bundle: Bundle, cnn_bundle: Bundle
) -> dict[str, Bundle]:
    return {
        "lstm": lstm_bundle,
        "gru": gru_bundle,
        "transformer": transformer_bundle,
        "cnn": cnn_bundle,
    }


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
