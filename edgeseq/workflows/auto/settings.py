"""How the best quantization is searched."""

from dataclasses import dataclass, field

from edgeseq.bench.latency import HotSettings
from edgeseq.errors import UsageError


@dataclass(frozen=True)
class AutoSettings:
    """How the best quantization is searched."""

    max_drop: float = 0.5
    """Largest loss of the task's metric: points of a percentage, or per cent of fp32's error."""
    seed: int = 0
    """Draws the order of recordings in the stream, the bootstrap, and the turns."""
    cpu_dependent: bool = False
    """Try schemes, too, whose results depend on the CPU."""
    steps: int = 10_000
    """Real frames, the state fed back, that every candidate is streamed over."""
    hot: HotSettings = field(default_factory=HotSettings)
    """How the time of a step is measured."""

    def __post_init__(self) -> None:
        """Refuse limits that nothing could keep."""
        if self.max_drop < 0:
            raise UsageError(f"--max-drop {self.max_drop:g} is negative; give 0 or more")
        if self.steps < 1 or self.seed < 0:
            raise UsageError("steps must be at least 1, the seed at least 0")
