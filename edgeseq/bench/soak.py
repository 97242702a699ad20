"""`bench --soak`: run for long, and show that latency, memory and outputs stay what they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseq import __version__
from edgeseq.bench import trends
from edgeseq.bench.ageing import Stream
from edgeseq.bench.candidate import Progress
from edgeseq.bench.conditions import Conditions, Watch
from edgeseq.bench.machine import Machine, this_machine
from edgeseq.bench.results import Status
from edgeseq.bench.soaked import Soaked
from edgeseq.bench.soaking import SoakSettings, measure_soak
from edgeseq.bench.subjects import Subject, Target, targets
from edgeseq.bench.trends import Limit, Quantity, Trend, drift_limit, judge, trend
from edgeseq.budget import Verdict, require_promises
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.stored import StoredResult

CONTROL_SHARE = 0.5
"""Steps of the control per step of the soaked session above which it ages nearly as fast."""


@dataclass(frozen=True)
class SoakedVariant(Subject):
    """What became of one stream."""

    steps: int
    """Steps of the soaked session."""
    seconds: float
    """From the first step to the last, the turns of others included."""
    run_in: int
    """Frames that the control was run in over before it was compared."""
    forgets: bool
    """Whether a fresh session then answered as the soaked one; else drift has a level."""
    aligned: bool
    """Whether all windows compared the same frames: those at which the stream begins anew."""
    control_share: float
    """Steps of the control per step of the soaked session."""
    at_steps: tuple[int, ...]
    """Steps at the end of each window; the series of the trends belong to them."""
    p99_us: tuple[float, ...]
    """99th percentile of each window's latest steps."""
    control_us: tuple[float, ...]
    """Median step of the control in each window."""
    trends: tuple[Trend, ...]
    """Latency against the control, memory, drift, state: what is judged."""
    plain: Trend
    """Median step in µs: shown, not judged, because the machine has phases."""
    broken: str | None
    """What went wrong at once, or none."""


@dataclass(frozen=True)
class SoakResult(StoredResult):
    """One soak of some variants, in turns."""

    VERSION = 1
    COMMAND = "edgeseq bench BUNDLE --soak 1h -o RESULT.json"

    status: Status
    """`measured` on this machine, `emulated` where an emulator ran it, else `estimated`."""
    created: str
    """UTC, ISO 8601."""
    edgeseq: str
    """Version that measured."""
    machine: Machine
    conditions: Conditions
    settings: SoakSettings
    interrupted: bool
    """Whether somebody ended it before its time."""
    variants: tuple[SoakedVariant, ...]
    budget: tuple[Verdict, ...]
    """No slope of latency, memory, drift and state; nothing that is not finite."""

    def require_promises(self, *, strict: bool = False) -> None:
        """Raise `PromiseError` (exit 3) that names every slope that is not zero."""
        hint = "See all windows with: --json"
        require_promises(self.budget, strict=strict, where="this soak", next_step=hint)


def soak(
    *sources: Bundle | Path | str,
    settings: SoakSettings,
    variants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    provider: str = "cpu",
    status: Status = "measured",
    progress: Progress | None = None,
) -> SoakResult:
    """Soak variants of bundles, in turns, and judge whether anything changed with the steps.

    Ctrl-C ends it early: what was measured until then is the result, marked `interrupted`.

    Args:
        sources: bundles.
        settings: how long, how fast.
        variants: which; none: each bundle's preferred one.
        sessions: changes of session settings; each variant is soaked with each of them.
        provider: `cpu` or `cuda`.
        status: `emulated` when an emulator runs this process.
        progress: is told how many windows are done.

    Raises:
        BundleError: a bundle cannot be trusted, or has no such variant.
        UsageError: two things of one name.
        KeyboardInterrupt: interrupted before the first window was complete.
    """
    bundles = [item if isinstance(item, Bundle) else load_bundle(item) for item in sources]
    names = variants or [bundle.manifest.preferred for bundle in bundles][: len(bundles) == 1]
    chosen = targets(bundles, names, sessions, provider=provider, settings=None)
    machine, watch = this_machine(), Watch()
    noise = {
        bundle.file(name): variant.tolerance.noise
        for bundle in bundles
        for name, variant in bundle.manifest.variants.items()
    }
    outputs = {bundle.path: bundle.reference["outputs"] for bundle in bundles}
    soaked = [_soaked(target, outputs[target.file.parent], noise[target.file]) for target in chosen]
    found = measure_soak(soaked, settings, progress=progress)
    results = tuple(
        soaked_variant(target.subject, stream, found.seconds, settings, noise[target.file])
        for target, stream in zip(chosen, found.streams, strict=True)
    )
    return SoakResult(
        schema=SoakResult.VERSION,
        status=status,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeseq=__version__,
        machine=machine,
        conditions=watch.read(settings.pin),
        settings=settings,
        interrupted=found.interrupted,
        variants=results,
        budget=tuple(verdict for result in results for verdict in judged(result)),
    )


def soaked_variant(
    subject: Subject, stream: Stream, seconds: float, settings: SoakSettings, noise: float
) -> SoakedVariant:
    """Return what became of `stream`: its series, and their slopes.

    Args:
        subject: what it was.
        stream: after its last window.
        seconds: from its first step to its last.
        settings: how it was soaked.
        noise: the variant's tolerance, as a share of its outputs' RMS.
    """
    windows, count = stream.windows, stream.windows.count
    steps = windows.steps[:count]
    memory = windows.memory_kib[:count]
    known = memory if np.isfinite(memory).all() else memory[:0]
    p50 = windows.p50_us[:count]
    median = float(np.median(p50))
    plain = Limit("µs", trends.LATENCY.negligible * median, trends.LATENCY.matters * median)

    def fitted(quantity: Quantity, values: NDArray[np.float64], limit: Limit) -> Trend:
        at = steps[: len(values)]
        return trend(
            quantity, at, seconds, values, limit,
            confidence=settings.confidence, seed=settings.seed,
        )  # fmt: skip

    return SoakedVariant(
        **vars(subject),
        steps=int(steps[-1]) if count else 0,
        seconds=round(seconds, 1),
        run_in=stream.run_in,
        forgets=stream.forgets,
        aligned=stream.aligned,
        control_share=round(stream.control_steps / max(stream.total, 1), 4),
        at_steps=tuple(int(step) for step in steps),
        p99_us=_rounded(windows.p99_us[:count]),
        control_us=_rounded(windows.control_us[:count]),
        trends=(
            fitted("latency", windows.ratio[:count], trends.LATENCY),
            fitted("memory", known, trends.MEMORY),
            fitted("drift", windows.drift[:count], drift_limit(noise)),
            fitted("state", _sizes(windows.states[:count]), trends.STATE),
        ),
        plain=fitted("plain latency", p50, plain),
        broken=stream.broken,
    )


def judged(result: SoakedVariant) -> tuple[Verdict, ...]:
    """Return what became of every promise of one stream."""
    blind: dict[str, str | None] = {}
    if result.control_share > CONTROL_SHARE:
        blind["latency"] = (
            f"the control ran {result.control_share:.2f} steps for each of the soaked session, so "
            "it ages as well; soak longer"
        )
    drift = result.trends[2]
    differs = max(drift.values, default=0.0) > drift.negligible
    if differs and not (result.forgets or result.aligned):
        blind["drift"] = (
            f"its state remembers more than {result.run_in:,} frames, and the windows are too "
            "short to compare the same ones; soak longer"
        )
    if not result.trends[1].values and result.at_steps:
        blind["memory"] = "this system does not tell a process's memory"
    return (
        Verdict(
            result.name, "all finite", "fail" if result.broken else "pass", "finite", None,
            result.broken or f"state and outputs of {len(result.at_steps)} windows",
        ),
        *(judge(result.name, found, blind=blind.get(found.quantity)) for found in result.trends),
    )  # fmt: skip


def _soaked(target: Target, outputs: NDArray[np.float32], noise: float) -> Soaked:
    return Soaked(
        name=target.name,
        open=target.open,
        frames=target.candidate.frames,
        scale=float(np.sqrt(np.mean(np.square(outputs, dtype=np.float64)))) or 1.0,
        negligible_drift=drift_limit(noise).negligible,
    )


def _sizes(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sizes `(windows,)` of the state that changed most, over the control's."""
    if len(states) < 2 or not states.shape[1]:
        return np.ones(len(states))
    earlier, later = (np.median(half, axis=0) for half in np.array_split(states, 2))
    return np.asarray(states[:, np.argmax(np.abs(later - earlier))], np.float64)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in values)
