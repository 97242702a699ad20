"""A benchmark as data: versioned JSON that says on what, with what, and what was not measured."""

from dataclasses import dataclass
from typing import Literal

from edgeseq.bench.chunks import ChunkFit
from edgeseq.bench.conditions import Conditions
from edgeseq.bench.gaps import IdleGap
from edgeseq.bench.gpu import Gpu
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import Machine
from edgeseq.bench.memory import ColdStart, Memory
from edgeseq.bench.on_gpu import OnGpu
from edgeseq.bench.pace import Paced, PaceSettings
from edgeseq.bench.placement import Placement
from edgeseq.bench.stats import Latency, Ratio
from edgeseq.bench.streams import ManyStreams
from edgeseq.bench.subjects import Subject
from edgeseq.bench.throughput import ThroughputResult
from edgeseq.bench.warmup import Warmup
from edgeseq.bench.yardstick import AgainstFloor
from edgeseq.budget import Verdict, require_promises
from edgeseq.stored import StoredResult

SCHEMA = 2
Status = Literal["measured", "emulated", "estimated"]


@dataclass(frozen=True)
class VariantResult(Subject):
    """Everything that was measured of one subject."""

    hot: Latency
    """One step after the other, as fast as they go."""
    warmup: Warmup
    """How long its first session took to get there."""
    against_floor: AgainstFloor | None
    """Hot, against a session that does nothing: comparable between runs on one machine."""
    chunks: ChunkFit | None
    """Latency against the frames of a call."""
    paced: Paced | None
    """One step every 1/rate seconds."""
    idle: tuple[IdleGap, ...] | None
    """Latency of the step after a pause."""
    cold: ColdStart | None
    memory: Memory | None
    many: ManyStreams | None
    """Memory of one stream where a process has many."""
    placement: Placement
    """Which nodes ran where, by ONNX Runtime's profile of a few steps."""
    on_gpu: OnGpu | None
    """What only a GPU has: its memory, and copies to and from it."""


@dataclass(frozen=True)
class Harness:
    """What measuring costs by itself; subtracted from nothing."""

    hot: Latency
    """The timing loop around a step that does nothing."""
    floor: Latency
    """A `StreamSession` on a graph that does nothing: what Python and ONNX Runtime take."""
    paced: Paced | None
    """The pacing loop around a step that does nothing."""


@dataclass(frozen=True)
class BenchResult(StoredResult):
    """One run of the benchmark over some variants of some bundles."""

    VERSION = SCHEMA
    COMMAND = "edgeseq bench -o RESULT.json"

    status: Status
    """`measured` on this machine, `emulated` where an emulator ran it, else `estimated`."""
    created: str
    """UTC, ISO 8601."""
    edgeseq: str
    """Version that measured."""
    device: str | None
    """Profile whose settings and budget were applied."""
    is_device: bool
    """Whether time and memory are that device's: that machine, its provider, no emulator."""
    machine: Machine
    gpu: Gpu | None
    """The GPU that ran it."""
    conditions: Conditions
    hot_settings: HotSettings
    pace_settings: PaceSettings | None
    variants: tuple[VariantResult, ...]
    ratios: tuple[Ratio, ...]
    """Each variant's hot latency against the first one's, interleaved."""
    throughput: ThroughputResult | None
    """Many streams in one call."""
    harness: Harness
    budget: tuple[Verdict, ...]
    """What became of every promise: of the device, against a margin, against a baseline."""
    not_measured: dict[str, str]
    """Every value that is null above, and why."""
    interrupted: bool = False
    """Ctrl-C ended the run early; what is null was to come."""

    def variant(self, name: str) -> VariantResult:
        """Return the result of the variant `name`; `KeyError` when it was not measured."""
        return {variant.name: variant for variant in self.variants}[name]

    def require_promises(self, *, strict: bool = False) -> None:
        """Raise `PromiseError` (exit 3) that names every broken promise.

        With `strict` a promise that could not be checked counts as broken.
        """
        hint = f"See its budget with: edgeseq devices {self.device}" if self.device else ""
        require_promises(
            self.budget,
            strict=strict,
            where=self.device or "this run",
            next_step=hint or "See all figures with: --json",
        )
