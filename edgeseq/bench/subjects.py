"""From bundles, variants and session settings to what is measured, each under a name of its own."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseq.bench.candidate import Array, Candidate, of_file
from edgeseq.bench.memory import Job
from edgeseq.bundle import Bundle, Variant
from edgeseq.contract import Contract, SessionSettings
from edgeseq.errors import ConfigError, UsageError
from edgeseq.measured import Accuracy
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.specs import parse

ONNXRUNTIME = SessionSettings(threads=0, spinning=True, arena=True)
"""What ONNX Runtime does when nobody says anything: a pool as wide as the machine, spinning."""


@dataclass(frozen=True)
class Subject:
    """What was measured: an ONNX file, and how it was run."""

    name: str
    """Unique in the result: the variant, with bundle and settings where they differ."""
    bundle: str
    """Directory name of its bundle."""
    variant: str
    sha256: str
    """Hash of the ONNX file: two results about one hash are about the same model."""
    family: str
    task: str
    parameters: int
    precision: str
    provider: str
    """The provider that ran, which is the one that was asked for."""
    session: SessionSettings
    """The settings it ran with."""
    file_kib: float
    """Size of the ONNX file."""
    state_kib: float
    """State of one stream; where it grows, what a frame adds."""
    accuracy: Accuracy | None
    """Its score on its task, from the manifest."""


@dataclass(frozen=True)
class Target:
    """One subject, ready to be measured."""

    subject: Subject
    candidate: Candidate
    file: Path
    contract: Contract
    operators: frozenset[str]

    @property
    def name(self) -> str:
        """Its name in the result."""
        return self.subject.name

    def load(self, provider: str | None = None) -> StreamModel:
        """Load the weights afresh, for `provider` or its own one."""
        provider = provider or self.subject.provider
        return StreamModel.load(self.file, provider=provider, settings=self.subject.session)

    def open(self) -> StreamSession:
        """Open a fresh session on freshly loaded weights."""
        return StreamSession(self.load())

    def job(self, steps: int) -> Job:
        """Return what a fresh process runs."""
        frame = tuple(float(value) for value in self.candidate.frames[0])
        subject = self.subject
        return Job(self.file.resolve(), None, subject.provider, subject.session, frame, steps)


def targets(
    bundles: Sequence[Bundle],
    variants: Sequence[str],
    sessions: Sequence[str],
    *,
    provider: str,
    settings: SessionSettings | None,
) -> list[Target]:
    """Return every bundle x variant x session, the first one being what others are compared with.

    Args:
        bundles: loaded ones.
        variants: which; none: of one bundle all that run frame by frame, of several the preferred.
        sessions: changes of session settings, as `session` reads them; none: one without a change.
        provider: `cpu` or `cuda`.
        settings: session settings to start from; none: each variant's own.

    Raises:
        BundleError: a bundle has no such variant.
        UsageError: nothing runs frame by frame, or a setting makes no sense.
    """
    found = []
    for bundle, label in zip(bundles, _labels(bundles), strict=True):
        names = variants or (_streaming(bundle) if len(bundles) == 1 else [_preferred(bundle)])
        for variant in names:
            for change in sessions or ("",):
                parts = (f"{label}/{variant}" if label else variant, change)
                base = settings or bundle.variant(variant).session
                used = session(change, base)
                found.append(
                    _target(bundle, variant, " ".join(filter(None, parts)), provider, used)
                )
    names_seen = [target.name for target in found]
    if twice := {name for name in names_seen if names_seen.count(name) > 1}:
        raise UsageError(f"{', '.join(sorted(twice))}: named twice; measure each thing once")
    return found


def session(change: str, base: SessionSettings) -> SessionSettings:
    """Return `base` with a change such as `threads=2,spinning=true`, or `onnxruntime`'s defaults.

    Raises:
        UsageError: no such setting, or not a value of it.
    """
    if not change:
        return base
    if change == "onnxruntime":
        return ONNXRUNTIME
    table = dataclasses.asdict(base)
    for part in change.split(","):
        name, equals, text = (word.strip() for word in part.partition("="))
        value: object = {"true": True, "false": False}.get(text, text)
        table[name] = int(text) if text.isdigit() else value
        if not equals or not name:
            raise UsageError(f'"{part}" is not a session setting; write threads=2,spinning=true')
    try:
        return parse(table, SessionSettings, where=change)
    except ConfigError as error:
        raise UsageError(f"session {change}: {'; '.join(error.mistakes)}") from None


def _target(
    bundle: Bundle, variant: str, name: str, provider: str, settings: SessionSettings
) -> Target:
    chosen, origin, file = bundle.variant(variant), bundle.manifest.origin, bundle.file(variant)
    subject = Subject(
        name=name,
        bundle=bundle.path.resolve().name,
        variant=variant,
        sha256=chosen.sha256,
        family=origin.family,
        task=origin.task,
        parameters=origin.parameters,
        precision=chosen.precision,
        provider=provider,
        session=settings,
        file_kib=round(chosen.bytes / 1024, 3),
        state_kib=round(chosen.contract.state_bytes / 1024, 3),
        accuracy=chosen.accuracy,
    )
    candidate = of_file(name, file, _frames(bundle), provider=provider, settings=settings)
    return Target(subject, candidate, file, chosen.contract, frozenset(chosen.operators))


def _frames(bundle: Bundle) -> Array:
    return np.ascontiguousarray(bundle.reference["frames"], np.float32)


def _labels(bundles: Sequence[Bundle]) -> Iterator[str]:
    """Yield what tells the bundles apart: nothing, directory names, or paths."""
    names = [bundle.path.resolve().name for bundle in bundles]
    for bundle, name in zip(bundles, names, strict=True):
        if len(bundles) == 1:
            yield ""
        else:
            yield name if names.count(name) == 1 else str(bundle.path)


def _preferred(bundle: Bundle) -> str:
    return bundle.manifest.preferred


def _streaming(bundle: Bundle) -> list[str]:
    """Return the variants that can be stepped, the fp32 ones first."""
    names = [name for name, found in bundle.manifest.variants.items() if _steps(found)]
    if not names:
        raise UsageError(
            f"{bundle.path} has no variant that runs frame by frame; export with --form step"
        )
    return sorted(names, key=lambda name: bundle.manifest.variants[name].precision != "fp32")


def _steps(variant: Variant) -> bool:
    return variant.contract.form != "sequence" and variant.contract.chunk_min == 1
