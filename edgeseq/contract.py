"""The state contract: all that an app must know to run a step graph, as data in the file.

It is stored as JSON under the ONNX `metadata_props` key `edgeseq.contract`, so a bare `.onnx`
can be run correctly by someone who never saw the bundle. `export/README.md` is its page.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from edgeseq.errors import ConfigError, ModelError
from edgeseq.specs import parse

METADATA_KEY = "edgeseq.contract"
VERSION = 1

Form = Literal["step", "sequence", "recompute", "growing-cache"]
"""What a call computes. `step`: (chunk, state) → (outputs, next state), the state bounded;
`sequence`: the whole input, no state; `recompute`: as `step`, all from the last frames, which are
the state; `growing-cache`: as `step`, but the state grows with every frame."""


@dataclass(frozen=True)
class Frame:
    """One time step of input, as the sensor gives it: raw units, no scaling by the app."""

    channels: tuple[str, ...]
    """Name of each raw channel, in order."""
    units: tuple[str, ...]
    """Physical unit of each channel."""
    sample_rate_hz: float
    """Samples per second of the sensor."""
    samples: int = 1
    """Consecutive samples in one frame, oldest first: value `s * len(channels) + c`."""
    name: str = "frames"
    """ONNX input, float32, shape `(N, T, F)`."""
    vocabulary: tuple[str, ...] = ()
    """Where a frame is one token: what each token stands for; the frame's value is its number."""

    @property
    def size(self) -> int:
        """Values in one frame (`F`)."""
        return len(self.channels) * self.samples

    @property
    def rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate_hz / self.samples


@dataclass(frozen=True)
class Output:
    """What the graph returns for every frame."""

    kind: Literal["logits", "value"]
    """`logits`: one score a class; `value`: predictions in physical units."""
    labels: tuple[str, ...]
    """Class names of logits, or names of the predicted values."""
    units: str = ""
    """Physical unit of values."""
    decision: str = ""
    """How an app turns outputs into an answer, in one sentence."""
    residual_of: int | None = None
    """Value of the frame that the prediction is added to (forecasts start from persistence)."""
    name: str = "logits"
    """ONNX output, float32, shape `(N, T, len(labels))`."""
    delay: int = 0
    """Frames that an answer is late: it describes the frame that many before its own."""


def predicts_next_token(frame: Frame, output: Output) -> bool:
    """Say whether the outputs are logits of the token that the next frame will be."""
    tokens = frame.vocabulary
    return bool(tokens) and output.kind == "logits" and output.labels == tokens


@dataclass(frozen=True)
class State:
    """One tensor that must be fed back: `output` of a call is `input` of the next."""

    input: str
    """ONNX input that takes the state before the call."""
    output: str
    """ONNX output that gives the state after the call."""
    shape: tuple[str, ...]
    """Dimensions; `N` (streams) stays symbolic, all others are numbers, written as text. Only where
    a state grows is one `P`: the frames since the reset, 0 to begin with."""
    dtype: Literal["float32", "int64"]
    """Element type."""
    meaning: str
    """What it holds, for people."""
    initial: float = 0.0
    """Every element's value before the first frame."""
    in_place: bool = False
    """`input` and `output` may be the same memory on ONNX Runtime's CPU provider: nothing reads
    the old state after the write."""

    @property
    def stream_axis(self) -> int:
        """The axis on which streams lie."""
        return self.shape.index("N") if "N" in self.shape else 0

    @property
    def grows(self) -> bool:
        """Say whether every frame adds to it."""
        return "P" in self.shape

    def sized(self, streams: int, frames: int = 0) -> tuple[int, ...]:
        """Return the shape for `streams` streams, `frames` after the reset."""
        known = {"N": streams, "P": frames}
        return tuple(known[size] if size in known else int(size) for size in self.shape)


@dataclass(frozen=True)
class SessionSettings:
    """The knobs of an ONNX Runtime session. The defaults suit one small model on a device."""

    threads: int = 1
    """A small model gains nothing from more; the pool costs wake-ups."""
    spinning: bool = False
    """Waiting threads that spin burn a core between frames."""
    arena: bool = False
    """The memory arena costs a megabyte and, for small models, time."""
    memory_pattern: bool = True
    """Plan the memory of all intermediate values at once, where shapes allow it."""
    prepacking: bool = True
    """Repack weights for the kernels: a little memory for much speed in int8."""
    graph_level: Literal["disabled", "basic", "extended", "all"] = "all"
    """How far ONNX Runtime may rewrite the graph; int8 operators need `extended` or `all`."""


@dataclass(frozen=True)
class Tolerance:
    """How far a variant may be from the whole-sequence reference."""

    relative_error: float
    """Largest absolute difference of an output over the reference outputs' RMS."""
    noise: float
    """RMS of the difference over the reference outputs' RMS: 0.05 is an SQNR of 26 dB."""
    changed_decisions: float = 0.0
    """Largest share of frames whose decision differs, 0 to 1; of next tokens, share of draws."""


@dataclass(frozen=True)
class Contract:
    """Everything that is true of one ONNX file's inputs and outputs."""

    frame: Frame
    """What goes in."""
    output: Output
    """What comes out."""
    states: tuple[State, ...]
    """What is fed back; none in a sequence graph."""
    form: Form
    """`step`: (chunk, state) → (outputs, next state); `sequence`: whole input, no state."""
    min_onnxruntime: str
    """The oldest ONNX Runtime release that runs the file."""
    producer: str
    """edgeseq's version, with the git commit where there is one."""
    recipe: str
    """Name of the recipe that made the file."""
    streams: int | None = None
    """Fixed number of streams `N`, or none where any is allowed."""
    chunk_min: int = 1
    """Fewest frames `T` in one call."""
    chunk_max: int | None = None
    """Most frames `T` in one call, or none where there is no limit."""
    period: int | None = None
    """Frames after which the absolute positions that the model adds to its input repeat, as they
    did in training; none where the answer does not depend on the age of the stream."""
    after_gap: str = "reset: give every state its initial value; frames before a gap do not count"
    """What an app does when frames are missing."""
    version: int = VERSION
    """Version of the contract's own form."""

    @property
    def grows(self) -> bool:
        """Say whether the state grows with every frame, so that no stream can run for ever."""
        return any(state.grows for state in self.states)

    @property
    def state_bytes(self) -> int:
        """Bytes of one stream's state; where it grows, after one frame."""
        return self.state_bytes_after(1)

    def state_bytes_after(self, frames: int) -> int:
        """Return the bytes of one stream's state `frames` after its reset."""
        return sum(
            math.prod(state.sized(1, frames)) * (8 if state.dtype == "int64" else 4)
            for state in self.states
        )

    def to_json(self) -> dict[str, Any]:
        """Return the contract as JSON values."""
        table: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return table

    @classmethod
    def from_json(cls, table: dict[str, Any], *, where: str) -> "Contract":
        """Read a contract; unknown versions and unknown keys are refused."""
        if table.get("version") != VERSION:
            raise ModelError(
                f"{where}: contract version {table.get('version')!r} is unknown; this edgeseq "
                f"reads version {VERSION}. Upgrade edgeseq, or export again"
            )
        try:
            return parse(table, cls, where=where)
        except ConfigError as error:
            mistakes = "; ".join(error.mistakes)
            raise ModelError(
                f"{where}: its contract is damaged: {mistakes}. Export again"
            ) from None

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], *, where: str) -> "Contract":
        """Read the contract out of an ONNX file's `metadata_props`."""
        if METADATA_KEY not in metadata:
            raise ModelError(
                f"{where} carries no edgeseq contract, so its state cannot be known. "
                "Look at it with: edgeseq inspect FILE.onnx"
            )
        try:
            table = json.loads(metadata[METADATA_KEY])
        except ValueError as error:
            raise ModelError(f"{where}: its contract is not JSON: {error}") from None
        return cls.from_json(table if isinstance(table, dict) else {}, where=where)
