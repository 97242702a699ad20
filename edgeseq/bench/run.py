"""`bench`: everything that is measured of bundles, in one result."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgeseq import __version__
from edgeseq.bench.candidate import FLOOR
from edgeseq.bench.compare import MARGIN, compare_results, within_margin
from edgeseq.bench.conditions import Conditions, Watch
from edgeseq.bench.gpu import gpu_facts
from edgeseq.bench.machine import Machine, this_machine
from edgeseq.bench.measure import BenchSettings, Found, Progress, measure
from edgeseq.bench.results import SCHEMA, BenchResult, Harness, Status, VariantResult
from edgeseq.bench.subjects import Target, targets
from edgeseq.budget import Measured, Verdict, judge, state_kib
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.devices import DeviceProfile, is_device, load_device

__all__ = ["BenchSettings", "bench"]


def bench(
    *sources: Bundle | Path | str,
    variants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    provider: str | None = None,
    device: DeviceProfile | str | None = None,
    margin: float | None = None,
    baseline: Path | None = None,
    allow_fallback: bool = False,
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
        allow_fallback: measure what runs on the CPU in part though `cuda` was asked for.
        settings: what to measure, how long.
        status: `emulated` when an emulator runs this process.
        progress: is told how far it is.

    Raises:
        ProviderError: the provider is not the one that would run, or not for every node.
        BundleError: a bundle cannot be trusted, or has no such variant.
        UsageError: no such device, or nothing that runs frame by frame.
    """
    before = BenchResult.load(baseline) if baseline else None
    bundles = [item if isinstance(item, Bundle) else load_bundle(item) for item in sources]
    profile = load_device(device) if isinstance(device, str) else device
    settings = settings or BenchSettings()
    provider = provider or ("cuda" if profile and profile.provider == "cuda" else "cpu")
    machine, watch = this_machine(), Watch()
    gpu, no_gpu = gpu_facts() if provider == "cuda" else (None, "it ran on the CPU")
    own = profile.session if profile else None
    chosen = targets(bundles, variants, sessions, provider=provider, settings=own)
    found = measure(chosen, settings, allow_fallback=allow_fallback, progress=progress)
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
        gpu=gpu,
        conditions=conditions,
        hot_settings=settings.hot,
        pace_settings=settings.pace,
        variants=results,
        ratios=ratios,
        throughput=found.throughput,
        harness=Harness(found.hot.harness, found.hot.latencies[FLOOR], found.paced_harness),
        budget=(
            *(_judge(profile, chosen, results, elsewhere) if profile else ()),
            *(within_margin(ratio, between) for ratio in ratios if between is not None),
        ),
        not_measured=_missing(results, machine, conditions, interrupted=found.interrupted)
        | ({} if gpu else {"gpu": no_gpu})
        | ({} if found.throughput else {"throughput": "no streams were asked for"}),
        interrupted=found.interrupted,
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


def _result(target: Target, found: Found) -> VariantResult:
    cold, memory = found.fresh.get(target.name, (None, None))
    return VariantResult(
        **vars(target.subject),
        hot=found.hot.latencies[target.name],
        warmup=found.hot.warmups[target.name],
        against_floor=found.against_floor.get(target.name),
        chunks=found.chunks.get(target.name),
        paced=found.paced.get(target.name),
        idle=found.idle.get(target.name),
        cold=cold,
        memory=memory,
        many=found.many.get(target.name),
        placement=found.placement[target.name],
        on_gpu=found.on_gpu.get(target.name),
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
            state_kib=state_kib(target.contract),
            operators=target.operators,
        )
        verdicts.extend(judge(profile, measured, elsewhere=elsewhere))
    return tuple(verdicts)


_WHY = {
    "accuracy": "the bundle was made without its task's data",
    "against_floor": "only results that are kept need it",
    "chunks": "it takes one frame a call, or no chunks were asked for",
    "cold": "no fresh processes were asked for",
    "idle": "no pauses were asked for",
    "many": "its streams are fixed, it ran on a GPU, or no fresh processes were asked for",
    "memory": "no fresh processes were asked for",
    "on_gpu": "it ran on the CPU",
    "paced": "no rate was asked for",
    "pinned_to": "no core was asked for",
}


def _missing(
    results: tuple[VariantResult, ...],
    machine: Machine,
    conditions: Conditions,
    *,
    interrupted: bool = False,
) -> dict[str, str]:
    """Return the path of every value that is null in the result, with the reason."""
    cut = " (or the run was interrupted before)" if interrupted else ""
    tables = {"machine": asdict(machine), "conditions": asdict(conditions)}
    tables |= {f"variants.{result.name}": asdict(result) for result in results}
    system = f"this system ({sys.platform}) does not tell"
    return {
        f"{path}.{name}": _WHY[name] + cut if name in _WHY else system
        for path, table in tables.items()
        for name in _nulls(table)
    }


def _nulls(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if value is None:
            yield name
        elif isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _nulls(value))
