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
from edgeseq.specs import parse

SCHEMA = 1
MANIFEST = "manifest.json"
REFERENCE = "reference.npz"
INTEGERS = ("int8", "int4", "mixed")
"""Precisions of variants that multiply integers."""


@dataclass(frozen=True)
class Parity:
    """What the gate measured: a variant streamed frame by frame against the whole sequence."""

    steps: int
    """Frames that were compared."""
    relative_error: float
    """Largest absolute difference over the reference outputs' RMS."""
    at_step: int
    """Where the largest difference was."""
    sqnr_db: float
    """Signal to quantization (or rounding) noise, dB."""
    changed_decisions: float
    """Share of frames whose decision differs, 0 to 1."""
    drift: tuple[float, ...] = ()
    """RMS error over the reference RMS in ten equal stretches of the run."""

    @property
    def noise(self) -> float:
        """RMS of the difference over the reference outputs' RMS."""
        return float(10 ** (-self.sqnr_db / 20))


@dataclass(frozen=True)
class Accuracy:
    """A variant's score on its task's test recordings."""

    metric: str
    """Name with unit."""
    value: float
    """The score."""
    higher_is_better: bool
    """Which way is better."""
    count: int
    """Windows or frames that were scored."""


FEWEST_CLUSTERS = 8
"""Subjects or recordings below which no interval is trusted to decide."""

PairedVerdict = Literal["within", "beyond", "inconclusive"]


@dataclass(frozen=True)
class Paired:
    """What a variant loses against fp32 on the same windows, with the drop's 95 % interval."""

    drop: float
    """Points of a percentage, or per cent of fp32's error; negative: the variant is better."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    unit: str
    """Of the three: `points`, `% of fp32's`."""
    clusters: int
    """Independent groups that the bootstrap draws from."""
    by: str
    """What a group is: `subjects`, `recordings`, `stretches` of recordings."""
    count: int
    """Windows or frames that both were scored on."""

    def verdict(self, limit: float) -> PairedVerdict:
        """Say whether the drop is at most `limit`; neither, where the interval holds both."""
        if self.clusters < FEWEST_CLUSTERS:
            return "inconclusive"
        if self.high <= limit:
            return "within"
        return "beyond" if self.low > limit else "inconclusive"


FOLDED = "its weights are stored as integers, but unpacked to floats when the file is loaded"
UNFUSED = "its weights are stored as integers, but DequantizeLinear feeds a float product"
IN_NAME_ONLY = (FOLDED, UNFUSED)
"""Reasons in a census that break what the file's name says."""


@dataclass(frozen=True)
class Census:
    """What runs in integers in ONNX Runtime's optimised graph."""

    int8_weights: float
    """Share of the matrix weights that integer operators use, of 8 bits or fewer, 0 to 1."""
    operators: dict[str, int]
    """Nodes of the optimised graph by operator."""
    float_nodes: tuple[str, ...] = ()
    """Nodes that multiply by weights in fp32."""
    onnxruntime: str = ""
    """Release whose optimised graph was counted."""
    int8_macs: float | None = None
    """Share of the multiply-accumulates that integer operators do, 0 to 1; none: not known."""
    macs: int | None = None
    """Multiply-accumulates of one frame, those of attention with a full ring; none: not known."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each of the `float_nodes`, and of those that multiply two activations, is in floats."""

    @property
    def in_name_only(self) -> dict[str, str]:
        """The nodes whose weights are integers in the file, yet are multiplied as floats."""
        return {node: reason for node, reason in self.reasons.items() if reason in IN_NAME_ONLY}


@dataclass(frozen=True)
class Calibrated:
    """How the ranges of activations were found."""

    streams: int
    """Streams that were run in fp32, each from the reset state."""
    frames: int
    """Frames of all of them."""
    source: str
    """Whose frames they are."""
    ranges: Literal["minmax", "percentile", "entropy", "mse"]
    """How a range was read from the values that were seen."""
    state: Literal["rolling", "zero"]
    """Whether the state was carried from frame to frame."""


@dataclass(frozen=True)
class Latency:
    """Median step against fp32, interleaved in one run, on the machine that quantized."""

    median_us: float
    """One step of this variant."""
    fp32_median_us: float
    """One step of the fp32 variant of the same form, in the same run."""
    machine: str
    """CPU it ran on."""
    onnxruntime: str
    """Release it ran with."""


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
