"""A bundle that does nothing, made in a moment, so that the bench can be tested without a model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeseq.bench.identity import identity_contract, identity_onnx
from edgeseq.bundle import (
    Bundle,
    Manifest,
    Origin,
    Reference,
    Tolerance,
    Variant,
    load_bundle,
    write_manifest,
)
from edgeseq.contract import SessionSettings
from edgeseq.files import sha256
from edgeseq.measured import Accuracy


def make_bundle(path: Path) -> Bundle:
    """Write a bundle with the variants `fp32`, `int8` and `sequence`, all doing nothing."""
    path.mkdir()
    variants = {}
    for name in ("int8", "fp32", "sequence"):
        file = path / f"model.{name}.onnx"
        file.write_bytes(identity_onnx())
        contract = identity_contract()
        if name == "sequence":
            contract = replace(contract, form="sequence", states=())
        variants[name] = Variant(
            file=file.name,
            sha256=sha256(file),
            bytes=file.stat().st_size,
            precision="int8" if name == "int8" else "fp32",
            opset=15,
            operators={"Identity": 2} | ({"DynamicQuantizeLSTM": 1} if name == "int8" else {}),
            contract=contract,
            tolerance=Tolerance(1e-5, 1e-5),
            session=SessionSettings(arena=name == "int8"),
            accuracy=Accuracy("window accuracy %", 90.0, True, 10),
        )
    frames = np.linspace(-1, 1, 64, dtype=np.float32).reshape(64, 1)
    np.savez(
        path / "reference.npz", frames=frames, outputs=frames, **{"state.h0": np.zeros((1, 1))}
    )
    manifest = Manifest(
        name="nothing",
        producer="test",
        origin=Origin("none", 0, 0, "identity", 0),
        reference=Reference(sha256(path / "reference.npz"), 64, "made up"),
        variants=variants,
        preferred="fp32",
        preferred_because="test",
    )
    write_manifest(path, manifest)
    return load_bundle(path)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bench") / "nothing")
