"""`bench`: everything that is measured of bundles, in one result."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeseq import __version__
from edgeseq.bench.candidate import FLOOR, floor
from edgeseq.bench.chunks import SIZES, ChunkFit, measure_chunks
from edgeseq.bench.compare import MARGIN, compare_results, within_margin
from edgeseq.bench.conditions import Conditions, Watch
from edgeseq.bench.gaps import IdleGap, measure_gaps
from edgeseq.bench.latency import HotResult, HotSettings, measure_hot
from edgeseq.bench.machine import Machine, this_machine
from edgeseq.bench.memory import ColdStart, Memory, measure_fresh
from edgeseq.bench.pace import Paced, PaceSettings, measure_paced
from edgeseq.bench.results import SCHEMA, BenchResult, Harness, Status, VariantResult
from edgeseq.bench.subjects import Target, targets
from edgeseq.budget import Measured, Verdict, judge
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.contract import Contract
from edgeseq.devices import DeviceProfile, is_device, load_device
from edgeseq.runtime.stream import LONGEST_CALL

Progress = Callable[[str, int, int], object]
"""Called with (what, done, total) now and then; what: `hot`, `chunks`, `paced` …"""


@dataclass(frozen=True)
class BenchSettings:
    """What `bench` measures, and how long."""

    hot: HotSettings = field(default_factory=HotSettings)
    pace: PaceSettings | None = None
    """Paced run; none leaves it out."""
    chunk_rounds: int = 10
    """Rounds over all chunk sizes; 0 leaves them out."""
    gap_repeats: int = 10
    """Pauses of each length; 0 leaves them out."""
    fresh_processes: int = 5
    """Fresh processes for each variant's memory and cold start; 0 leaves both out."""
    fresh_steps: int = 1000
    """Steps in each fresh process."""


@dataclass(frozen=True)
class _Found:
    """What was measured of all targets, by their names."""

    hot: HotResult
    chunks: dict[str, ChunkFit]
    paced: dict[str, Paced]
    paced_harness: Paced | None
    idle: dict[str, tuple[IdleGap, ...]]
    fresh: dict[str, tuple[ColdStart, Memory]]


def bench(
    *sources: Bundle | Path | str,
    variants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    provider: str | None = None,
    device: DeviceProfile | str | None = None,
    margin: float | None = None,
    baseline: Path | None = None,
    settings: BenchSettings | None = None,
    status: Status = "measured",
    progress: Progress | None = None,
) -> BenchResult:
    """Measure variants of bundles on this machine, all of them interleaved in one run.

    Args:
        sources: bundles; the first one's first variant is what all others are compared with.
        variants: which to measure; none: of one bundle all that run frame by frame, of several
            each one's preferred variant.
        sessions: changes of session settings (`threads=2,spinning=true`, `onnxruntime`); each
            variant is measured with each of them.
        provider: `cpu` or `cuda`; none: the device's, or `cpu`.
        device: profile, or its name, whose session settings and budget are applied.
        margin: promise that no variant is slower than the first by more than this share, or,
            with a baseline, than itself there; none: no such promise, against a baseline 5 %.
        baseline: an earlier result of this machine.
        settings: what to measure, how long.
        status: `emulated` when an emulator runs this process.
        progress: is told how far it is.

    Raises:
        ProviderError: the provider is not the one that would run.
        BundleError: a bundle cannot be trusted, or has no such variant.
        UsageError: no such device, or nothing that runs frame by frame.
    """
    before = BenchResult.load(baseline) if baseline else None
    bundles = [item if isinstance(item, Bundle) else load_bundle(item) for item in sources]
    profile = load_device(device) if isinstance(device, str) else device
    settings = settings or BenchSettings()
    provider = provider or ("cuda" if profile and profile.provider == "cuda" else "cpu")
    machine, watch = this_machine(), Watch()
    own = profile.session if profile else None
    chosen = targets(bundles, variants, sessions, provider=provider, settings=own)
    found = _measure(chosen, settings, progress)
    results = tuple(_result(target, found) for target in chosen)
    conditions = watch.read(settings.hot.pin)
    elsewhere = _elsewhere(profile, machine, provider, status) if profile else None
    between = margin if before is None else None
    ratios = tuple(ratio for ratio in found.hot.ratios if ratio.candidate != FLOOR)
    result = BenchResult(
        schema=SCHEMA,
        status=status,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeseq=__version__,
        device=profile.name if profile else None,
        is_device=profile is not None and not elsewhere,
        machine=machine,
        conditions=conditions,
        hot_settings=settings.hot,
        pace_settings=settings.pace,
        variants=results,
        ratios=ratios,
        harness=Harness(found.hot.harness, found.hot.latencies[FLOOR], found.paced_harness),
        budget=(
            *(_judge(profile, chosen, results, elsewhere) if profile else ()),
            *(within_margin(ratio, between) for ratio in ratios if between is not None),
        ),
        not_measured=_missing(results, machine, conditions),
    )
    if before is None:
        return result
    against = compare_results(
        before,
        result,
        MARGIN if margin is None else margin,
        names=(Path(baseline or "").name, "this run"),
    )
    return replace(result, budget=(*result.budget, *against.verdicts))


def _measure(chosen: list[Target], settings: BenchSettings, progress: Progress | None) -> _Found:
    candidates = [target.candidate for target in chosen]
    subject, pin = chosen[0].subject, settings.hot.pin
    with floor(provider=subject.provider, settings=subject.session) as below:
        hot = measure_hot([*candidates, below], settings.hot, progress=_named(progress, "hot"))
    chunks = _chunks(chosen, settings, progress)
    idle = {}
    if settings.gap_repeats:
        idle = measure_gaps(
            candidates,
            repeats=settings.gap_repeats,
            pin=pin,
            progress=_named(progress, "idle gaps"),
        )
    paced: dict[str, Paced] = {}
    harness: Paced | None = None
    if settings.pace:
        paced, harness = measure_paced(
            candidates, settings.pace, progress=_named(progress, "paced")
        )
    fresh = {}
    if settings.fresh_processes:
        jobs = {target.name: target.job(settings.fresh_steps) for target in chosen}
        fresh = measure_fresh(
            jobs, repeats=settings.fresh_processes, progress=_named(progress, "memory")
        )
    return _Found(hot, chunks, paced, harness, idle, fresh)


def _chunks(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> dict[str, ChunkFit]:
    """Fit each target that takes more than one chunk size."""
    if not settings.chunk_rounds:
        return {}
    return {
        target.name: measure_chunks(
            target.open,
            target.candidate.frames,
            sizes=sizes,
            rounds=settings.chunk_rounds,
            pin=settings.hot.pin,
            progress=_named(progress, f"chunks of {target.name}"),
        )
        for target in chosen
        if len(sizes := _sizes(target.contract)) > 1
    }


def _sizes(contract: Contract) -> tuple[int, ...]:
    """Return the chunk sizes that the contract allows in one call."""
    most = min(contract.chunk_max or LONGEST_CALL, LONGEST_CALL)
    return tuple(size for size in SIZES if contract.chunk_min <= size <= most)


def _result(target: Target, found: _Found) -> VariantResult:
    cold, memory = found.fresh.get(target.name, (None, None))
    return VariantResult(
        **vars(target.subject),
        hot=found.hot.latencies[target.name],
        warmup=found.hot.warmups[target.name],
        against_floor=found.hot.ratio(target.name, FLOOR),
        chunks=found.chunks.get(target.name),
        paced=found.paced.get(target.name),
        idle=found.idle.get(target.name),
        cold=cold,
        memory=memory,
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
    chosen: list[Target],
    results: tuple[VariantResult, ...],
    elsewhere: str | None,
) -> tuple[Verdict, ...]:
    verdicts: list[Verdict] = []
    for target, result in zip(chosen, results, strict=True):
        # An app meets the paced latency; the hot one is only the fallback where none was paced.
        step = result.paced.step if result.paced else result.hot
        measured = Measured(
            variant=target.name,
            steps_ms=step.samples_us / 1e3,
            peak_rss_mib=result.memory.peak_rss_mib if result.memory else None,
            model_kib=result.file_kib,
            state_kib=result.state_kib,
            operators=target.operators,
        )
        verdicts.extend(judge(profile, measured, elsewhere=elsewhere))
    return tuple(verdicts)


_WHY = {
    "accuracy": "the bundle was made without its task's data",
    "chunks": "it takes one frame a call, or no chunks were asked for",
    "cold": "no fresh processes were asked for",
    "idle": "no pauses were asked for",
    "memory": "no fresh processes were asked for",
    "paced": "no rate was asked for",
    "pinned_to": "no core was asked for",
}


def _missing(
    results: tuple[VariantResult, ...], machine: Machine, conditions: Conditions
) -> dict[str, str]:
    """Return the path of every value that is null in the result, with the reason."""
    tables = {"machine": asdict(machine), "conditions": asdict(conditions)}
    tables |= {f"variants.{result.name}": asdict(result) for result in results}
    system = f"this system ({sys.platform}) does not tell"
    return {
        f"{path}.{name}": _WHY.get(name, system)
        for path, table in tables.items()
        for name in _nulls(table)
    }


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
