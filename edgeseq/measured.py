"""What is measured of a variant, and stands in its manifest: parity, accuracy, census, latency."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Parity:
    """What the gate measured: a variant streamed frame by frame against the whole sequence."""

    steps: int
    """Frames that were compared."""
    relative_error: float
    """Largest absolute difference over the reference outputs' RMS."""
    at_step: int
    """Where the largest difference was."""
    sqnr_db: float
    """Signal to quantization (or rounding) noise, dB."""
    changed_decisions: float
    """Share of frames whose decision differs, 0 to 1."""
    drift: tuple[float, ...] = ()
    """RMS error over the reference RMS in ten equal stretches of the run."""

    @property
    def noise(self) -> float:
        """RMS of the difference over the reference outputs' RMS."""
        return float(10 ** (-self.sqnr_db / 20))


@dataclass(frozen=True)
class Accuracy:
    """A variant's score on its task's test recordings."""

    metric: str
    """Name with unit."""
    value: float
    """The score."""
    higher_is_better: bool
    """Which way is better."""
    count: int
    """Windows or frames that were scored."""


FEWEST_CLUSTERS = 8
"""Subjects or recordings below which no interval is trusted to decide."""

PairedVerdict = Literal["within", "beyond", "inconclusive"]


@dataclass(frozen=True)
class Paired:
    """What a variant loses against fp32 on the same windows, with the drop's 95 % interval."""

    drop: float
    """Points of a percentage, or per cent of fp32's error; negative: the variant is better."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    unit: str
    """Of the three: `points`, `% of fp32's`."""
    clusters: int
    """Independent groups that the bootstrap draws from."""
    by: str
    """What a group is: `subjects`, `recordings`, `stretches` of recordings."""
    count: int
    """Windows or frames that both were scored on."""

    def verdict(self, limit: float) -> PairedVerdict:
        """Say whether the drop is at most `limit`; neither, where the interval holds both."""
        if self.clusters < FEWEST_CLUSTERS:
            return "inconclusive"
        if self.high <= limit:
            return "within"
        return "beyond" if self.low > limit else "inconclusive"


FOLDED = "its weights are stored as integers, but unpacked to floats when the file is loaded"
UNFUSED = "its weights are stored as integers, but DequantizeLinear feeds a float product"
IN_NAME_ONLY = (FOLDED, UNFUSED)
"""Reasons in a census that break what the file's name says."""


@dataclass(frozen=True)
class Census:
    """What runs in integers in ONNX Runtime's optimised graph."""

    int8_weights: float
    """Share of the matrix weights that integer operators use, of 8 bits or fewer, 0 to 1."""
    operators: dict[str, int]
    """Nodes of the optimised graph by operator."""
    float_nodes: tuple[str, ...] = ()
    """Nodes that multiply by weights in fp32."""
    onnxruntime: str = ""
    """Release whose optimised graph was counted."""
    int8_macs: float | None = None
    """Share of the multiply-accumulates that integer operators do, 0 to 1; none: not known."""
    macs: int | None = None
    """Multiply-accumulates of one frame, those of attention with a full ring; none: not known."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why each of the `float_nodes`, and of those that multiply two activations, is in floats."""

    @property
    def in_name_only(self) -> dict[str, str]:
        """The nodes whose weights are integers in the file, yet are multiplied as floats."""
        return {node: reason for node, reason in self.reasons.items() if reason in IN_NAME_ONLY}


@dataclass(frozen=True)
class Calibrated:
    """How the ranges of activations were found."""

    streams: int
    """Streams that were run in fp32, each from the reset state."""
    frames: int
    """Frames of all of them."""
    source: str
    """Whose frames they are."""
    ranges: Literal["minmax", "percentile", "entropy", "mse"]
    """How a range was read from the values that were seen."""
    state: Literal["rolling", "zero"]
    """Whether the state was carried from frame to frame."""


@dataclass(frozen=True)
class Latency:
    """Median step against fp32, interleaved in one run, on the machine that quantized."""

    median_us: float
    """One step of this variant."""
    fp32_median_us: float
    """One step of the fp32 variant of the same form, in the same run."""
    machine: str
    """CPU it ran on."""
    onnxruntime: str
    """Release it ran with."""
