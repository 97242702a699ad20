"""The directory that is shipped: ONNX files, `manifest.json`, `reference.npz`, and their contract.

`export/README.md` is the page on the format. Loading refuses what it cannot trust: an unknown
schema, an unknown key, a missing file, a wrong hash, a path that leaves the bundle.
"""

import dataclasses
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Contract, SessionSettings, Tolerance
from edgeseq.errors import BundleError, ConfigError
from edgeseq.files import restore, sha256, write_json
from edgeseq.measured import Accuracy, Calibrated, Census, Latency, Paired, Parity
from edgeseq.specs import parse

SCHEMA = 1
MANIFEST = "manifest.json"
REFERENCE = "reference.npz"
INTEGERS = ("int8", "int4", "mixed")
"""Precisions of variants that multiply integers."""


@dataclass(frozen=True)
class Variant:
    """One ONNX file of a bundle."""

    file: str
    """Path inside the bundle."""
    sha256: str
    """Hash of the file."""
    bytes: int
    """Size of the file."""
    precision: Literal["fp32", "int8", "int4", "mixed", "fp16"]
    """Of the weights' arithmetic."""
    opset: int
    """Version of ONNX's operators."""
    operators: dict[str, int]
    """Nodes of the file's graph by operator."""
    contract: Contract
    """The same as in the file's metadata; see above."""
    tolerance: Tolerance
    """What `check` holds it to."""
    session: SessionSettings = field(default_factory=SessionSettings)
    """Session settings to run it with."""
    parity: Parity | None = None
    """What the gate measured."""
    accuracy: Accuracy | None = None
    """Its score on the task, where the data could be had."""
    paired: Paired | None = None
    """What it loses against the fp32 variant that it comes from; quantized variants only."""
    census: Census | None = None
    """What of it runs in integers; not of fp32 and fp16 variants."""
    calibration: Calibrated | None = None
    """How its activations were calibrated; static variants only."""
    latency: Latency | None = None
    """Its speed against fp32; after `edgeseq quantize`."""


@dataclass(frozen=True)
class Reference:
    """Real frames and what PyTorch's whole-sequence forward says of them."""

    sha256: str
    """Hash of the file."""
    frames: int
    """How many."""
    source: str
    """Whose frames they are."""
    file: str = REFERENCE
    """Path inside the bundle."""


@dataclass(frozen=True)
class Origin:
    """Where the weights come from."""

    task: str
    """A task's name, or the path of the TOML that describes it."""
    fold: int
    """Split of the task."""
    seed: int
    """Seed of the training run."""
    family: str
    """Model family."""
    parameters: int
    """Trained parameters."""
    baselines: dict[str, Accuracy] = field(default_factory=dict)
    """The trivial and the strong baseline, on the same test recordings."""
    tuned_for: str | None = None
    """Recipe whose rounding the weights were fine-tuned with (`edgeseq train --qat`)."""


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`."""

    name: str
    """Task and family."""
    producer: str
    """edgeseq's version, with the git commit where there is one."""
    origin: Origin
    """Where the weights come from."""
    reference: Reference
    """The reference stream."""
    variants: dict[str, Variant]
    """ONNX files by name."""
    preferred: str
    """The variant to ship."""
    preferred_because: str
    """Why that one."""
    schema: int = SCHEMA
    """Version of the manifest's form."""

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, verified."""

    path: Path
    manifest: Manifest

    def variant(self, name: str | None = None) -> Variant:
        """Return the variant `name`, or the preferred one."""
        name = name or self.manifest.preferred
        if name not in self.manifest.variants:
            names = ", ".join(self.manifest.variants)
            hint = _how_to_make(name)
            raise BundleError(f'{self.path} has no variant "{name}"; it has: {names}.{hint}')
        return self.manifest.variants[name]

    def file(self, variant: str | None = None) -> Path:
        """Return the path of a variant's ONNX file."""
        return self.path / self.variant(variant).file

    @cached_property
    def reference(self) -> dict[str, NDArray[Any]]:
        """`frames` `(T, F)`, `outputs` `(T, C)` and each final state `state.NAME`, N = 1."""
        file = self.path / self.manifest.reference.file
        try:
            # Read first: np.load leaves a file open that is no archive.
            with np.load(io.BytesIO(file.read_bytes())) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise BundleError(f"{file} cannot be read ({error}). Export again") from None


def load_bundle(path: Path | str) -> Bundle:
    """Read and verify the bundle at `path`; raise `BundleError` where it cannot be trusted."""
    path = Path(path)
    restore(path)
    if not (path / MANIFEST).is_file():
        what = "is not a bundle: it has no manifest.json" if path.exists() else "does not exist"
        raise BundleError(f"{path} {what}. Make a bundle with: edgeseq export RUN -o {path}")
    try:
        table = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path / MANIFEST} is not JSON ({error}). Export again") from None
    manifest = _parse(table, path / MANIFEST)
    for file, digest in _files(manifest):
        _verify(path, file, digest)
    return Bundle(path, manifest)


def _how_to_make(variant: str) -> str:
    recipes = {"int8": "", "int4": " --recipe int4-weights"}
    recipes |= {name: f" --recipe {name}" for name in ("mixed", "fp16")}
    for precision, recipe in recipes.items():
        if precision in variant:
            return f" Make it with: edgeseq quantize BUNDLE{recipe}"
    return ""


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into the directory `path`, atomically."""
    write_json(path / MANIFEST, manifest.to_json())


def _parse(table: Any, where: Path) -> Manifest:  # noqa: ANN401 - any JSON value
    if not isinstance(table, Mapping) or table.get("schema") != SCHEMA:
        found = table.get("schema") if isinstance(table, Mapping) else None
        raise BundleError(
            f"{where}: schema {found!r} is unknown; this edgeseq reads schema {SCHEMA}. "
            "Upgrade edgeseq, or export again"
        )
    try:
        manifest = parse(table, Manifest, where=str(where))
    except ConfigError as error:
        raise BundleError(f"{where}: {'; '.join(error.mistakes)}. Export again") from None
    if manifest.preferred not in manifest.variants:
        raise BundleError(f'{where}: preferred "{manifest.preferred}" is not among its variants')
    return manifest


def _files(manifest: Manifest) -> list[tuple[str, str]]:
    variants = [(variant.file, variant.sha256) for variant in manifest.variants.values()]
    return [*variants, (manifest.reference.file, manifest.reference.sha256)]


def _verify(path: Path, file: str, digest: str) -> None:
    parts = PurePosixPath(file)
    if parts.is_absolute() or ".." in parts.parts or "\\" in file or ":" in file:
        raise BundleError(f'{path}: the path "{file}" in its manifest leaves the bundle; refused')
    target = path / file
    if not target.is_file():
        raise BundleError(f"{path}: {file} is missing. Copy the whole bundle, or export again")
    if not target.resolve().is_relative_to(path.resolve()):
        raise BundleError(f'{path}: "{file}" is a link out of the bundle; refused')
    found = sha256(target)
    if found != digest:
        raise BundleError(
            f"{target} is not the file that was exported (sha256 {found[:12]}…, manifest says "
            f"{digest[:12]}…). Copy the bundle again, or export again"
        )
