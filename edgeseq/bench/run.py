"""`bench`: everything that is measured of a bundle, in one result."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq import __version__
from edgeseq.bench.budget import Measured, Verdict, judge
from edgeseq.bench.latency import Array, Candidate, HotResult, HotSettings, measure_hot
from edgeseq.bench.machine import Machine, this_machine
from edgeseq.bench.memory import ColdStart, Job, Memory, measure_fresh
from edgeseq.bench.pace import Paced, PaceSettings, measure_paced
from edgeseq.bench.results import SCHEMA, BenchResult, Harness, Status, VariantResult
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.contract import Contract, SessionSettings
from edgeseq.devices import DeviceProfile, is_device, load_device
from edgeseq.errors import UsageError
from edgeseq.runtime import StreamSession

Progress = Callable[[str, int, int], object]
"""Called with (what, done, total) now and then; what: `hot`, `paced`, `memory`."""


@dataclass(frozen=True)
class BenchSettings:
    """What `bench` measures, and how long."""

    hot: HotSettings = field(default_factory=HotSettings)
    pace: PaceSettings | None = None
    """Paced run; none leaves it out."""
    fresh_processes: int = 5
    """Fresh processes for each variant's memory and cold start; 0 leaves both out."""
    fresh_steps: int = 1000
    """Steps in each fresh process."""


@dataclass(frozen=True)
class _Subject:
    """One variant, ready to be measured."""

    name: str
    file_kib: float
    operators: frozenset[str]
    session: SessionSettings
    contract: Contract
    job: Job


def bench(
    source: Bundle | Path | str,
    *,
    variants: tuple[str, ...] = (),
    provider: str | None = None,
    device: DeviceProfile | str | None = None,
    settings: BenchSettings | None = None,
    status: Status = "measured",
    progress: Progress | None = None,
) -> BenchResult:
    """Measure variants of a bundle on this machine.

    Args:
        source: the bundle.
        variants: which to measure, the reference of the comparison first; none: all of them
            that run frame by frame.
        provider: `cpu` or `cuda`; none: the device's, or `cpu`.
        device: profile, or its name, whose session settings and budget are applied.
        settings: what to measure, how long.
        status: `emulated` when an emulator runs this process.
        progress: is told how far it is.

    Raises:
        ProviderError: the provider is not the one that would run.
        BundleError: the bundle cannot be trusted, or has no such variant.
        UsageError: no such device, or nothing that runs frame by frame.
    """
    bundle = source if isinstance(source, Bundle) else load_bundle(source)
    profile = load_device(device) if isinstance(device, str) else device
    settings = settings or BenchSettings()
    provider = provider or ("cuda" if profile and profile.provider == "cuda" else "cpu")
    machine = this_machine()
    frames = np.ascontiguousarray(bundle.reference["frames"], np.float32)
    with ExitStack() as stack:
        subjects, candidates = [], []
        for name in variants or _streaming(bundle):
            session = stack.enter_context(_open(bundle, name, provider, profile))
            subjects.append(_subject(bundle, name, session, frames, settings.fresh_steps))
            candidates.append(Candidate(name, session.step))
        hot = measure_hot(candidates, frames, settings.hot, progress=_named(progress, "hot"))
        paced, harness_paced = _paced(candidates, frames, settings.pace, progress)
    fresh = _fresh(subjects, settings.fresh_processes, progress)
    results = tuple(_result(subject, hot, fresh, paced) for subject in subjects)
    elsewhere = _elsewhere(profile, machine, provider, status) if profile else None
    return BenchResult(
        schema=SCHEMA,
        status=status,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeseq=__version__,
        bundle=bundle.path.resolve().name,
        provider=provider,
        device=profile.name if profile else None,
        is_device=profile is not None and not elsewhere,
        machine=machine,
        hot_settings=settings.hot,
        pace_settings=settings.pace,
        variants=results,
        ratios=hot.ratios,
        harness=Harness(hot.harness, harness_paced),
        budget=_judge(profile, subjects, results, elsewhere) if profile else (),
        not_measured=_missing(results, machine),
    )


def _streaming(bundle: Bundle) -> tuple[str, ...]:
    """Return the variants that can be stepped, the fp32 ones first."""
    names = [
        name
        for name, variant in bundle.manifest.variants.items()
        if variant.contract.form == "step" and variant.contract.chunk_min == 1
    ]
    if not names:
        raise UsageError(
            f"{bundle.path} has no variant that runs frame by frame; export with --form step"
        )
    return tuple(sorted(names, key=lambda name: bundle.manifest.variants[name].precision))


def _open(bundle: Bundle, name: str, provider: str, profile: DeviceProfile | None) -> StreamSession:
    settings = profile.session if profile else bundle.variant(name).session
    return StreamSession(bundle.path, variant=name, provider=provider, settings=settings)


def _subject(
    bundle: Bundle, name: str, session: StreamSession, frames: Array, steps: int
) -> _Subject:
    variant, model = bundle.variant(name), session.model
    frame = tuple(float(value) for value in frames[0])
    return _Subject(
        name=name,
        file_kib=variant.bytes / 1024,
        operators=frozenset(variant.operators),
        session=model.settings,
        contract=session.contract,
        job=Job(bundle.path.resolve(), name, model.provider, model.settings, frame, steps),
    )


def _paced(
    candidates: list[Candidate],
    frames: Array,
    settings: PaceSettings | None,
    progress: Progress | None,
) -> tuple[dict[str, Paced], Paced | None]:
    if settings is None:
        return {}, None
    return measure_paced(candidates, frames, settings, progress=_named(progress, "paced"))


def _fresh(
    subjects: list[_Subject], repeats: int, progress: Progress | None
) -> dict[str, tuple[ColdStart, Memory]]:
    if not repeats:
        return {}
    jobs = {subject.name: subject.job for subject in subjects}
    return measure_fresh(jobs, repeats=repeats, progress=_named(progress, "memory"))


def _result(
    subject: _Subject,
    hot: HotResult,
    fresh: dict[str, tuple[ColdStart, Memory]],
    paced: dict[str, Paced],
) -> VariantResult:
    cold, memory = fresh.get(subject.name, (None, None))
    return VariantResult(
        name=subject.name,
        session=subject.session,
        file_kib=round(subject.file_kib, 3),
        state_kib=round(state_bytes(subject.contract) / 1024, 3),
        hot=hot.latencies[subject.name],
        cold=cold,
        memory=memory,
        paced=paced.get(subject.name),
    )


def state_bytes(contract: Contract) -> int:
    """Return the bytes of one stream's state."""
    return sum(
        int(np.prod(state.sized(1))) * np.dtype(state.dtype).itemsize for state in contract.states
    )


def _elsewhere(
    profile: DeviceProfile, machine: Machine, provider: str, status: Status
) -> str | None:
    """Say why time and memory of this run are not the device's, or none if they are."""
    if status != "measured":
        return f"{status}, and only the device itself can be timed"
    if profile.provider != provider:
        return f"ran on {provider}, {profile.name} is about {profile.provider}"
    return None if is_device(profile, machine) else f"this machine is no {profile.name}"


def _judge(
    profile: DeviceProfile,
    subjects: list[_Subject],
    results: tuple[VariantResult, ...],
    elsewhere: str | None,
) -> tuple[Verdict, ...]:
    verdicts: list[Verdict] = []
    for subject, result in zip(subjects, results, strict=True):
        # An app meets the paced latency; the hot one is only the fallback where none was paced.
        step = result.paced.step if result.paced else result.hot
        measured = Measured(
            variant=subject.name,
            step_p99_ms=round(step.p99_us / 1000, 4),
            peak_rss_mib=result.memory.peak_rss_mib if result.memory else None,
            model_kib=result.file_kib,
            state_kib=result.state_kib,
            operators=subject.operators,
        )
        verdicts.extend(judge(profile, measured, elsewhere=elsewhere))
    return tuple(verdicts)


def _missing(results: tuple[VariantResult, ...], machine: Machine) -> dict[str, str]:
    """Return the path of every value that is null in the result, with the reason."""
    why = {
        "cold": "no fresh processes were asked for",
        "memory": "no fresh processes were asked for",
        "paced": "no rate was asked for",
    }
    system = f"this system ({sys.platform}) does not tell"
    missing = {f"machine.{name}": system for name in _nulls(asdict(machine))}
    for result in results:
        path = f"variants.{result.name}"
        missing |= {f"{path}.{name}": why.get(name, system) for name in _nulls(asdict(result))}
    return missing


def _nulls(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if value is None:
            yield name
        elif isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _nulls(value))


def _named(progress: Progress | None, what: str) -> Callable[[int, int], object] | None:
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total)
