"""A benchmark as data: versioned JSON that says on what, with what, and what was not measured."""

from dataclasses import dataclass
from typing import Literal

from edgeseq.bench.budget import Verdict
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import Machine
from edgeseq.bench.memory import ColdStart, Memory
from edgeseq.bench.pace import Paced, PaceSettings
from edgeseq.bench.stats import Latency, Ratio
from edgeseq.contract import SessionSettings
from edgeseq.errors import PromiseError
from edgeseq.stored import StoredResult

SCHEMA = 1
Status = Literal["measured", "emulated", "estimated"]


@dataclass(frozen=True)
class VariantResult:
    """Everything that was measured of one variant."""

    name: str
    session: SessionSettings
    """The settings it ran with."""
    file_kib: float
    """Size of the ONNX file."""
    state_kib: float
    """State of one stream."""
    hot: Latency
    """One step after the other, as fast as they go."""
    cold: ColdStart | None
    memory: Memory | None
    paced: Paced | None
    """One step every 1/rate seconds."""


@dataclass(frozen=True)
class Harness:
    """What the loops themselves cost, around a step that does nothing; subtracted from nothing."""

    hot: Latency
    paced: Paced | None


@dataclass(frozen=True)
class BenchResult(StoredResult):
    """One run of the benchmark over some variants of one bundle."""

    VERSION = SCHEMA
    COMMAND = "edgeseq bench --json"

    status: Status
    """`measured` on this machine, `emulated` where an emulator ran it, else `estimated`."""
    created: str
    """UTC, ISO 8601."""
    edgeseq: str
    """Version that measured."""
    bundle: str
    """Directory name of the bundle."""
    provider: str
    """The provider that ran, which is the one that was asked for."""
    device: str | None
    """Profile whose settings and budget were applied."""
    is_device: bool
    """Whether time and memory are that device's: that machine, its provider, no emulator."""
    machine: Machine
    hot_settings: HotSettings
    pace_settings: PaceSettings | None
    variants: tuple[VariantResult, ...]
    ratios: tuple[Ratio, ...]
    """Each variant's hot latency against the first one's."""
    harness: Harness
    budget: tuple[Verdict, ...]
    """The device's promises; empty without a device."""
    not_measured: dict[str, str]
    """Every value that is null above, and why."""

    def variant(self, name: str) -> VariantResult:
        """Return the result of the variant `name`; `KeyError` when it was not measured."""
        return {variant.name: variant for variant in self.variants}[name]

    def broken(self, *, strict: bool = False) -> tuple[Verdict, ...]:
        """Return the promises that failed; with `strict` also those that were not checked."""
        bad = ("fail", "not checked") if strict else ("fail",)
        return tuple(verdict for verdict in self.budget if verdict.verdict in bad)

    def require_promises(self, *, strict: bool = False) -> None:
        """Raise `PromiseError` (exit 3) that names every broken promise."""
        broken = self.broken(strict=strict)
        if broken:
            listed = "; ".join(f"{item.variant} {item.promise}: {item.reason}" for item in broken)
            raise PromiseError(
                f"{len(broken)} promise(s) of {self.device} broke: {listed}. "
                f"See its budget with: edgeseq devices {self.device}"
            )
