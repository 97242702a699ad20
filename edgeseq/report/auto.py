"""A search for the best quantization as data: what was tried, found, chosen and confirmed."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgeseq.bench.machine import Machine
from edgeseq.bundle import Origin
from edgeseq.errors import PromiseError
from edgeseq.measured import Accuracy, Paired, Parity
from edgeseq.recipes import Scheme
from edgeseq.stored import StoredResult

SCHEMA = 1
FP32 = "fp32"


@dataclass(frozen=True)
class Finding(StoredResult):
    """What is found out of a candidate without a clock, so that it may be kept."""

    VERSION: ClassVar[int] = SCHEMA
    COMMAND: ClassVar[str] = "edgeseq quantize BUNDLE --auto"

    sha256: str = ""
    """Hash of the quantized file; empty: it could not be made."""
    bytes: int = 0
    """Size of the quantized file."""
    parity: Parity | None = None
    """The stream of real frames against fp32's outputs."""
    accuracy: Accuracy | None = None
    """Its score on the same recordings."""
    paired: Paired | None = None
    """What it loses against fp32: frame by frame on validation, on test window by window."""
    refused: str = ""
    """Why it could not be made."""


@dataclass(frozen=True)
class Timing:
    """Hot steps, in turns with those of fp32 and of all others that were timed."""

    p50_us: float
    ratio: float
    """Median time over fp32's."""
    low: float
    high: float
    """95 % interval of the ratio."""


@dataclass(frozen=True)
class Candidate:
    """One way to quantize, and what became of it."""

    name: str
    """A recipe's, or `mixed-1`, `mixed-2` … in the order of the walk."""
    made_by: Literal["export", "recipe", "walk"]
    """Whether it is fp32, a shipped recipe, or a step of the walk."""
    schemes: dict[str, Scheme]
    """The scheme of every weight."""
    finding: Finding
    broken: tuple[str, ...] = ()
    """Limits that it breaks, in words; only what breaks none was timed."""
    timing: Timing | None = None
    verdict: str = ""
    """`preferred`, or why not."""

    @property
    def keeps(self) -> bool:
        """Whether it keeps every limit."""
        return not self.broken

    @property
    def noise(self) -> float | None:
        """RMS of the outputs' error over their RMS."""
        return self.finding.parity.noise if self.finding.parity else None

    def beside(self, usual: Scheme) -> str:
        """Return the weights in other schemes than `usual`: `R0, head in fp32`."""
        others: dict[Scheme, list[str]] = {}
        for weight, scheme in self.schemes.items():
            if scheme != usual:
                others.setdefault(scheme, []).append(weight)
        return "; ".join(f"{', '.join(names)} in {scheme}" for scheme, names in others.items())


@dataclass(frozen=True)
class Sensitivity:
    """One weight quantized alone, everything else in fp32."""

    weight: str
    scheme: Scheme
    elements: int
    """Values of the weight."""
    parity: Parity | None
    """The stream against fp32's outputs; none: it could not be made."""
    refused: str = ""
    """Why it could not be made."""

    @property
    def noise(self) -> float | None:
        """RMS of the outputs' error over their RMS."""
        return self.parity.noise if self.parity else None

    @property
    def power_per_kib(self) -> float | None:
        """Noise power for each KiB of the weight in fp32: the order in which weights widen."""
        noise = self.noise
        return None if noise is None else noise**2 / (self.elements * 4 / 1024)


@dataclass(frozen=True)
class Part:
    """Recordings that something was judged on."""

    recordings: int
    subjects: tuple[str, ...]
    frames: int


@dataclass(frozen=True)
class Confirmed:
    """A score on the test recordings, which nothing was chosen by."""

    name: str
    finding: Finding


@dataclass(frozen=True)
class AutoResult(StoredResult):
    """All that `edgeseq quantize --auto` tried, and what it chose."""

    VERSION: ClassVar[int] = SCHEMA
    COMMAND: ClassVar[str] = "edgeseq quantize BUNDLE --auto"

    created: str
    """UTC, ISO 8601."""
    edgeseq: str
    """Version, with the git commit where there is one."""
    bundle: str
    origin: Origin
    variant: str
    """The fp32 variant that all candidates were made from and judged on."""
    machine: Machine
    seed: int
    steps: int
    """Real frames, the state fed back, behind every noise."""
    max_drop: float
    """Largest loss of the task's metric that is allowed, as `Paired` counts it."""
    cpu_dependent: bool
    """Whether schemes were tried whose results depend on the CPU."""
    validation: Part
    test: Part
    ladder: tuple[Scheme, ...]
    """Schemes of the walk, narrowest first."""
    sensitivities: tuple[Sensitivity, ...]
    candidates: tuple[Candidate, ...]
    """fp32 first."""
    chosen: str
    """Name of a candidate; fp32 where none is better."""
    because: str
    confirmed: tuple[Confirmed, ...]
    """fp32, and what was chosen."""
    broken: tuple[str, ...] = ()
    """Limits that the winner broke on the test recordings: then fp32 is shipped."""
    recipe: str = ""
    """File that holds what was chosen as a recipe, where it is none of the shipped ones."""

    def candidate(self, name: str) -> Candidate:
        """Return the candidate `name`."""
        return next(one for one in self.candidates if one.name == name)

    @property
    def fp32(self) -> Candidate:
        """What all others are compared with."""
        return self.candidates[0]

    def require_promises(self) -> None:
        """Raise `PromiseError` where the winner broke a limit on the test recordings."""
        if self.broken:
            raise PromiseError(f"{self.because}; fp32 stays preferred")


def brief(error: str) -> str:
    """Return what an error says happened, without what to do about it."""
    return error.splitlines()[0].partition(";")[0]
