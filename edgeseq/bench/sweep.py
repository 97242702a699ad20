"""`bench --sweep`: the session settings that are best here, and what each other one costs."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edgeseq import __version__
from edgeseq.bench.choose import CURRENT, PASSES, decide, flips, goes_back
from edgeseq.bench.conditions import Conditions, Watch
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import Machine, this_machine
from edgeseq.bench.pace import PaceSettings
from edgeseq.bench.results import Status
from edgeseq.bench.stats import Ratio
from edgeseq.bench.subjects import Subject, targets
from edgeseq.bench.sweeping import BEFORE, Progress, SweepSettings, measure
from edgeseq.bundle import INTEGERS, Bundle, load_bundle, write_manifest
from edgeseq.contract import SessionSettings
from edgeseq.extras import available
from edgeseq.graph.census import take_census
from edgeseq.stored import StoredResult

LEVELS = ("basic", "extended", "all")
INT8_LEVELS = ("extended", "all")
"""Graph levels at which ONNX Runtime fuses int8 kernels, where the graph cannot be looked at."""


@dataclass(frozen=True)
class Price:
    """One change against the chosen settings."""

    change: str
    """As `--session` takes it; also `onnxruntime` (its defaults), `binding=by name`, `before`."""
    ratio: Ratio
    """Hot, against the chosen settings, in turns."""
    cpu_seconds_per_hour: float | None
    """Paced; none: not measured."""
    why: str
    """Why it was not taken."""


@dataclass(frozen=True)
class Pass:
    """One round of flips."""

    settings: SessionSettings
    """What was flipped."""
    taken: tuple[str, ...]
    why: dict[str, str]
    """Of each flip."""


@dataclass(frozen=True)
class SweepResult(StoredResult):
    """One sweep of the session settings of one variant."""

    VERSION = 1
    COMMAND = "edgeseq bench BUNDLE --sweep -o RESULT.json"

    status: Status
    """`measured` on this machine, `emulated` where an emulator ran it, else `estimated`."""
    created: str
    """UTC, ISO 8601."""
    edgeseq: str
    """Version that measured."""
    machine: Machine
    conditions: Conditions
    subject: Subject
    """What was swept, with the settings that it had."""
    hot_settings: HotSettings
    pace_settings: PaceSettings | None
    chosen: SessionSettings
    settled: bool
    """Whether the last pass found nothing better."""
    passes: tuple[Pass, ...]
    prices: tuple[Price, ...]
    """Of every other setting, against the chosen ones."""
    cpu_seconds_per_hour: float | None
    """Paced, with the chosen settings; none: not measured."""
    excluded: dict[str, str]
    """Changes that were not timed, and why."""
    written: bool
    """Whether the manifest has the chosen settings now."""


def sweep(
    source: Bundle | Path | str,
    variant: str | None = None,
    *,
    provider: str = "cpu",
    settings: SweepSettings | None = None,
    write: bool = True,
    status: Status = "measured",
    progress: Progress | None = None,
) -> SweepResult:
    """Find the best session settings of a bundle's variant on this machine.

    Args:
        source: the bundle.
        variant: which; none: the preferred one.
        provider: `cpu` or `cuda`.
        settings: how they are compared.
        write: put the best into the manifest, atomically; not where an emulator ran it.
        status: `emulated` when an emulator runs this process.
        progress: is told how far it is.

    Raises:
        BundleError: the bundle cannot be trusted, or has no such variant.
    """
    bundle = source if isinstance(source, Bundle) else load_bundle(source)
    settings = settings or SweepSettings()
    name = variant or bundle.manifest.preferred
    (target,) = targets([bundle], (name,), (), provider=provider, settings=None)
    machine, watch = this_machine(), Watch()
    levels, excluded = graph_levels(target.file, target.subject.precision)
    tolerance = bundle.variant(name).tolerance
    passes: list[Pass] = []
    current = first = target.subject.session
    while True:
        tried = flips(current, cores=machine.cores, graph_levels=levels)
        say = _named(progress, len(passes) + 1)
        found = measure(target, current, first, tried, tolerance, settings, say)
        decision = decide(current, tried, found.against(CURRENT), found.cpu)
        passes.append(Pass(current, decision.taken, decision.why))
        if decision.settings == current or len(passes) == PASSES:
            break
        current = decision.settings
    base = BEFORE if goes_back(found.against(CURRENT).get(BEFORE)) else CURRENT
    chosen = first if base == BEFORE else current
    written = write and status == "measured" and chosen != first
    if written:
        write_session(bundle.path, name, chosen)
    return SweepResult(
        schema=SweepResult.VERSION,
        status=status,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeseq=__version__,
        machine=machine,
        conditions=watch.read(settings.hot.pin),
        subject=target.subject,
        hot_settings=settings.hot,
        pace_settings=settings.pace,
        chosen=chosen,
        settled=decision.settings == current,
        passes=tuple(passes),
        prices=tuple(
            Price(change, ratio, found.cpu.get(change), decision.why.get(change, ""))
            for change, ratio in found.against(base).items()
        ),
        cpu_seconds_per_hour=found.cpu.get(base),
        excluded=excluded | found.excluded,
        written=written,
    )


def graph_levels(file: Path, precision: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the graph levels at which a variant remains what it is, and why others are out.

    A level at which fewer weights are multiplied as integers would undo what was quantized.
    """
    if precision not in INTEGERS:
        return LEVELS, {}
    if not available("onnx"):
        why = "onnx is not installed, so nobody can see whether int8 kernels are used"
        return INT8_LEVELS, {f"graph_level={level}": why for level in set(LEVELS) - {*INT8_LEVELS}}
    shares = {level: take_census(file, level).int8_weights for level in LEVELS}
    kept = tuple(level for level, share in shares.items() if share >= shares["all"])
    return kept, {
        f"graph_level={level}": f"only {share:.0%} of the weights would run in integers"
        for level, share in shares.items()
        if level not in kept
    }


def write_session(path: Path, variant: str, session: SessionSettings) -> None:
    """Put session settings into the manifest of the bundle at `path`, atomically."""
    manifest = load_bundle(path).manifest  # as it is now, not as it was when measuring began
    changed = replace(manifest.variants[variant], session=session)
    write_manifest(path, replace(manifest, variants=manifest.variants | {variant: changed}))


def _named(progress: Progress | None, number: int) -> Progress:
    def say(what: str, done: int, total: int) -> None:
        if progress:
            progress(f"{what}, pass {number} of at most {PASSES}", done, total)

    return say
