"""All measurements of one run, one after the other, every target in each of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgeseq.bench.candidate import floor
from edgeseq.bench.chunks import SIZES, ChunkFit, measure_chunks
from edgeseq.bench.gaps import IdleGap, measure_gaps
from edgeseq.bench.latency import HotResult, HotSettings, measure_hot
from edgeseq.bench.memory import ColdStart, Memory, measure_fresh
from edgeseq.bench.on_gpu import OnGpu, measure_on_gpu
from edgeseq.bench.pace import Interrupted, Paced, PaceSettings, measure_paced
from edgeseq.bench.placement import Placement, measure_placement, require_placed
from edgeseq.bench.streams import ManyStreams, measure_many
from edgeseq.bench.subjects import Target
from edgeseq.bench.throughput import Batch, ThroughputResult, ThroughputSettings, measure_throughput
from edgeseq.bench.yardstick import AgainstFloor, measure_against_floor
from edgeseq.contract import Contract
from edgeseq.runtime.stream import LONGEST_CALL

Progress = Callable[[str, int, int], object]
"""Called with (what, done, total) now and then; what: `hot`, `chunks`, `paced` …"""


FLOOR_PROCESSES = 7
"""With so many, `tests/benchmarks/regression.py` found 86 of 87 regressions by a tenth."""


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
    """Fresh processes for each variant's memory and cold start; 0 leaves out these and all that
    follows: the floor and many streams."""
    fresh_steps: int = 1000
    """Steps in each fresh process."""
    floor_processes: int = FLOOR_PROCESSES
    """Fresh processes for what makes two runs comparable, at least 2; 0 leaves it out."""
    many_streams: int = 1000
    """Streams in one process whose memory is measured; 0 leaves it out."""
    streams: ThroughputSettings | None = None
    """Many streams in one call; none leaves them out."""


@dataclass
class Found:
    """What was measured of all targets, by their names; it fills as the run goes on."""

    placement: dict[str, Placement]
    hot: HotResult
    chunks: dict[str, ChunkFit] = field(default_factory=dict)
    idle: dict[str, tuple[IdleGap, ...]] = field(default_factory=dict)
    paced: dict[str, Paced] = field(default_factory=dict)
    paced_harness: Paced | None = None
    against_floor: dict[str, AgainstFloor] = field(default_factory=dict)
    fresh: dict[str, tuple[ColdStart, Memory]] = field(default_factory=dict)
    many: dict[str, ManyStreams] = field(default_factory=dict)
    on_gpu: dict[str, OnGpu] = field(default_factory=dict)
    throughput: ThroughputResult | None = None
    interrupted: bool = False
    """Ctrl-C came before all was measured."""


def measure(
    chosen: list[Target],
    settings: BenchSettings,
    *,
    allow_fallback: bool = False,
    progress: Progress | None = None,
) -> Found:
    """Measure all targets; raise `ProviderError` where a compute node silently used the CPU.

    With `allow_fallback` it is measured as it is, and the result names the nodes. Ctrl-C after the
    hot latencies ends the run early, and what was measured until then is returned.
    """
    placement = {}
    for target in chosen:
        subject = target.subject
        placement[target.name] = measure_placement(target.file, subject.provider, subject.session)
        require_placed(placement[target.name], allow_fallback=allow_fallback, variant=target.name)
    subject = chosen[0].subject
    with floor(provider=subject.provider, settings=subject.session) as below:
        candidates = [*(target.candidate for target in chosen), below]
        hot = measure_hot(candidates, settings.hot, progress=_named(progress, "hot"))
    found = Found(placement, hot)
    try:
        _measure_more(found, chosen, settings, progress)
    except Interrupted as ctrl_c:
        found.paced, found.interrupted = ctrl_c.paced, True
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def _measure_more(
    found: Found, chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> None:
    """Measure all but the hot latencies, what takes longest last."""
    found.chunks = _chunks(chosen, settings, progress)
    found.idle = _idle(chosen, settings, progress)
    found.against_floor = _against_floor(chosen, settings, progress)
    found.fresh = _fresh(chosen, settings, progress)
    found.many = _many(chosen, settings, progress)
    for target in chosen:
        if target.subject.provider == "cuda":
            repeats = settings.fresh_processes
            found.on_gpu[target.name] = measure_on_gpu(target, repeats=repeats)
    found.throughput = _throughput(chosen, settings, progress)
    found.paced, found.paced_harness = _paced(chosen, settings, progress)


def _idle(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> dict[str, tuple[IdleGap, ...]]:
    if not settings.gap_repeats:
        return {}
    return measure_gaps(
        [target.candidate for target in chosen],
        repeats=settings.gap_repeats,
        pin=settings.hot.pin,
        progress=_named(progress, "idle gaps"),
    )


def _paced(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> tuple[dict[str, Paced], Paced | None]:
    if settings.pace is None:
        return {}, None
    candidates = [target.candidate for target in chosen]
    return measure_paced(candidates, settings.pace, progress=_named(progress, "paced"))


def _fresh(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> dict[str, tuple[ColdStart, Memory]]:
    if not settings.fresh_processes:
        return {}
    jobs = {target.name: target.job(settings.fresh_steps) for target in chosen}
    return measure_fresh(
        jobs, repeats=settings.fresh_processes, progress=_named(progress, "memory")
    )


def _against_floor(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> dict[str, AgainstFloor]:
    if not settings.floor_processes or not settings.fresh_processes:
        return {}
    jobs = {target.name: (target.job(0), target.candidate.frames) for target in chosen}
    return measure_against_floor(
        jobs, processes=settings.floor_processes, progress=_named(progress, "against the floor")
    )


def _many(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> dict[str, ManyStreams]:
    """Measure the memory of many streams; one reading, since a thousand of them are a mean."""
    if not settings.many_streams or not settings.fresh_processes:
        return {}
    show, found = _named(progress, "memory of many streams"), {}
    for done, target in enumerate(chosen):
        if target.subject.provider == "cpu" and target.contract.streams in (None, 1):
            found[target.name] = measure_many(target.job(0), streams=settings.many_streams)
        if show:
            show(done + 1, len(chosen))
    return found


def _throughput(
    chosen: list[Target], settings: BenchSettings, progress: Progress | None
) -> ThroughputResult | None:
    """Measure many streams; what runs on a GPU runs on the CPU, too, in turns with it."""
    if settings.streams is None:
        return None
    providers = dict.fromkeys((chosen[0].subject.provider, "cpu"))
    batches = [
        Batch(target.name, target.load(provider), target.candidate.frames)
        for provider in providers
        for target in chosen
    ]
    return measure_throughput(batches, settings.streams, progress=_named(progress, "streams"))


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


def _named(progress: Progress | None, what: str) -> Callable[[int, int], object] | None:
    if progress is None:
        return None
    return lambda done, total: progress(what, done, total)
