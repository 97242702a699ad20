"""Everything a demo measured, as data: `results.json`, which the report is drawn from."""

from dataclasses import dataclass
from typing import Literal

from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import Machine
from edgeseq.bench.memory import ColdStart, Memory
from edgeseq.bench.pace import Paced, PaceSettings
from edgeseq.bench.results import Harness, Status
from edgeseq.bench.stats import Latency, Ratio
from edgeseq.claims.latency import PositionCurve
from edgeseq.claims.verdict import Verdict
from edgeseq.errors import PromiseError
from edgeseq.measured import Accuracy, Parity
from edgeseq.stored import StoredResult

SCHEMA = 2
RESULTS, REPORT = "results.json", "report.html"


@dataclass(frozen=True)
class TaskFacts:
    """What was learned, and from whom."""

    name: str
    summary: str
    source: str
    labels: tuple[str, ...]
    sample_rate_hz: float
    """Of the sensor."""
    samples_per_frame: int
    fold: int
    folds: int
    seed: int
    test_subjects: tuple[str, ...]
    baselines: dict[str, Accuracy]
    """The trivial and the strong baseline on the same test recordings."""

    @property
    def frame_rate_hz(self) -> float:
        """How often the models need to answer."""
        return self.sample_rate_hz / self.samples_per_frame


@dataclass(frozen=True)
class RecordingScore:
    """A variant's score on one test recording: what differences between models are judged by."""

    name: str
    subject: str
    count: int
    """Windows or frames scored."""
    value: float


@dataclass(frozen=True)
class VariantReport:
    """Everything known of one ONNX file; none: not measured."""

    name: str
    precision: str
    file_kib: float
    state_kib: float
    opset: int
    min_onnxruntime: str
    accuracy: Accuracy | None = None
    recordings: tuple[RecordingScore, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    parity: Parity | None = None
    tolerance: float | None = None
    """Largest relative error that the bundle promises."""
    hot: Latency | None = None
    paced: Paced | None = None
    memory: Memory | None = None
    cold: ColdStart | None = None


@dataclass(frozen=True)
class Promise:
    """One thing that `check` tested on a bundle."""

    variant: str
    name: str
    status: Literal["kept", "broken", "not checked"]
    detail: str


@dataclass(frozen=True)
class ModelReport:
    """One trained model and the variants it was turned into."""

    family: str
    description: str
    """Its sizes in a few words."""
    parameters: int
    train_seconds: float
    train_steps: int
    preferred: str
    preferred_because: str
    fastest: str
    """The variant with the least latency in the bundle's manifest, measured before this demo."""
    variants: tuple[VariantReport, ...]
    promises: tuple[Promise, ...] = ()

    def variant(self, name: str) -> VariantReport:
        """Return the variant `name`; `KeyError` where there is none."""
        return {variant.name: variant for variant in self.variants}[name]

    @property
    def shipped(self) -> VariantReport:
        """The preferred variant."""
        return self.variant(self.preferred)


@dataclass(frozen=True)
class DemoResult(StoredResult):
    """One demo: two models on one task, on one machine."""

    VERSION = SCHEMA
    COMMAND = "edgeseq demo"

    status: Status
    created: str
    """UTC, ISO 8601."""
    edgeseq: str
    """Version that made it."""
    machine: Machine
    task: TaskFacts
    models: tuple[ModelReport, ...]
    ratios: tuple[Ratio, ...]
    """Hot latency of all variants against the first model's preferred one, interleaved."""
    positions: tuple[PositionCurve, ...]
    """Latency against position: step graphs and the recomputing Transformer."""
    harness: Harness | None
    hot_settings: HotSettings
    pace_settings: PaceSettings | None
    seconds: dict[str, float]
    """Wall time of each stage."""
    claims: tuple[Verdict, ...]
    commands: tuple[str, ...]
    """What to type to get the same."""
    not_measured: dict[str, str]
    """What this run says nothing about, and why."""

    def model(self, family: str) -> ModelReport:
        """Return the model of `family`; `KeyError` where there is none."""
        return {model.family: model for model in self.models}[family]

    def require_promises(self) -> None:
        """Raise `PromiseError` (exit 3) that names every promise a bundle broke."""
        broken = [
            f"{model.family} {promise.variant} {promise.name}: {promise.detail}"
            for model in self.models
            for promise in model.promises
            if promise.status == "broken"
        ]
        if broken:
            raise PromiseError(
                f"{len(broken)} promise(s) broke: {'; '.join(broken)}. "
                "See them with: edgeseq check BUNDLE"
            )
