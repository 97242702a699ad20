"""`check_bundle`: every promise of every variant, in the order in which a person would look."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from edgeseq.budget import judge_bundle
from edgeseq.bundle import Bundle, Variant
from edgeseq.check import interface, streaming, values
from edgeseq.check.findings import CheckReport, Finding, not_checked
from edgeseq.check.int8 import census
from edgeseq.check.portable import portable
from edgeseq.check.subject import Subject
from edgeseq.contract import Contract
from edgeseq.devices import DeviceProfile
from edgeseq.errors import BundleError, ModelError, StreamError
from edgeseq.extras import require
from edgeseq.runtime import StreamModel

Promise = Callable[[Subject], Finding]
Progress = Callable[[str], None]

INTERFACE: dict[str, Promise] = {
    "contract": interface.contract,
    "names": interface.names,
    "shapes": interface.shapes,
    "dtypes": interface.dtypes,
}
"""If one of these is broken, nothing that follows means anything."""

BEHAVIOUR: dict[str, Promise] = {
    "values": values.values,
    "noise": values.noise,
    "decisions": values.decisions,
    "drift": values.drift,
    "final state": values.final_state,
    "chunks": streaming.chunks,
    "bound memory": streaming.bound_memory,
    "reset": streaming.reset,
    "snapshot": streaming.snapshot,
    "streams": streaming.streams,
    "endless": streaming.endless,
    "portable": portable,
    "census": census,
}

PROMISES = ("files", "loads", *INTERFACE, *BEHAVIOUR)


def check_bundle(
    bundle: Bundle,
    variants: Sequence[str] | None = None,
    *,
    provider: str = "cpu",
    seed: int = 0,
    device: DeviceProfile | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Prove that the variants of `bundle` stream right, from its own files.

    Args:
        bundle: a bundle that was loaded, so its files are those that were exported.
        variants: which; none: all.
        provider: `cpu` or `cuda`; another one never runs in its place.
        seed: draws random chunks and the times of resets.
        device: profile whose budget is applied, as far as it needs no measurement; where it asks
            for `reduce_range`, no product may saturate.
        progress: is told what begins.

    Raises:
        BundleError: no such variant, or the reference cannot be read.
        ProviderError: the provider is not there.
    """
    names = variants or tuple(bundle.manifest.variants)
    chosen = {name: bundle.variant(name) for name in names}
    _require_reference(bundle)
    found: dict[str, tuple[Finding, ...]] = {}
    for name, variant in chosen.items():
        (progress or (lambda _: None))(name)
        found[name] = tuple(_check(bundle, name, variant, provider, seed, device))
    version = str(require("onnxruntime").__version__)
    frames = bundle.manifest.reference.frames
    budget = tuple(judge_bundle(device, bundle, names)) if device else ()
    profile = device.name if device else None
    return CheckReport(str(bundle.path), provider, version, seed, frames, found, profile, budget)


def _check(
    bundle: Bundle,
    name: str,
    variant: Variant,
    provider: str,
    seed: int,
    device: DeviceProfile | None,
) -> Iterator[Finding]:
    yield Finding("files", "kept", note="sha256 as in the manifest")
    try:
        model = StreamModel.load(bundle.file(name), provider=provider, settings=variant.session)
    except ModelError as error:
        yield _not_loaded(variant.contract, str(error))
        yield from _skipped(PROMISES[2:], "the file does not load")
        return
    yield Finding("loads", "kept", note=f"opset {variant.opset}")
    subject = replace(_subject(bundle, name, variant, model, seed), device=device)
    broken = ""
    for promise, check in INTERFACE.items():
        if broken:
            yield not_checked(promise, f'"{broken}" is broken')
            continue
        finding = check(subject)
        yield finding
        broken = promise if finding.status == "broken" else ""
    if broken:
        yield from _skipped(tuple(BEHAVIOUR), f'"{broken}" is broken')
        return
    for promise, check in BEHAVIOUR.items():
        try:
            yield check(subject)
        except StreamError as error:
            yield Finding(promise, "broken", note=str(error))


def _not_loaded(contract: Contract, error: str) -> Finding:
    here = require("onnxruntime").__version__
    if _release(here) < _release(contract.min_onnxruntime):
        reason = f"it needs ONNX Runtime >= {contract.min_onnxruntime}, here is {here}"
        return not_checked("loads", reason)
    return Finding("loads", "broken", note=error)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])


def _skipped(promises: Sequence[str], reason: str) -> Iterator[Finding]:
    return (not_checked(promise, reason) for promise in promises)


def _subject(bundle: Bundle, name: str, variant: Variant, model: StreamModel, seed: int) -> Subject:
    """Return the variant with as much of the reference as whole calls take."""
    reference, contract = bundle.reference, model.contract
    total = len(reference["frames"])
    count = total // contract.chunk_min * contract.chunk_min
    if contract.form == "sequence":
        count = min(count, contract.chunk_max or count)
    state = {
        item.input: reference[f"state.{item.input}"]
        for item in contract.states
        if f"state.{item.input}" in reference and count == total
    }
    frames = np.ascontiguousarray(reference["frames"][:count], np.float32)
    return Subject(name, variant, model, frames, reference["outputs"][:count], state, seed)


def _require_reference(bundle: Bundle) -> None:
    arrays, file = bundle.reference, bundle.path / bundle.manifest.reference.file
    contract = bundle.variant().contract
    frames = bundle.manifest.reference.frames
    wanted = {"frames": (frames, contract.frame.size),
              "outputs": (frames, len(contract.output.labels))}  # fmt: skip
    for name, shape in wanted.items():
        if name not in arrays or arrays[name].shape != shape:
            found = arrays[name].shape if name in arrays else "missing"
            raise BundleError(f"{file}: {name} is {found}, not {shape}. Export again")
        if not np.isfinite(arrays[name]).all():
            raise BundleError(f"{file}: {name} holds NaN or infinity. Export again")
