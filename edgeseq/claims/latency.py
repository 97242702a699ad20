"""Claim `latency`: "LSTM answers at once and streams; Transformer is slow and needs the sequence".

Each model runs as its fastest variant, by an earlier measurement than the one that is judged.
What counts is written here, before anything was measured:

- at once: the LSTM's paced p99 takes at most a tenth of a frame's period, so nine tenths are
  left for the app; it is refuted where the p99 is longer than the period, because frames are lost.
- slower, hot and paced: the 95 % interval of Transformer over LSTM lies above 1.1. Less than 10 %
  does not decide a design, and does not survive the step from one machine to the next.
- needs the sequence: refuted where the streamed Transformer gives what the whole sequence gives
  over at least 10,000 frames, and a late step takes at most 1.25 times an early one; supported
  where either fails badly: the answers differ, or a late step takes twice an early one.
- slow without a cache: computing everything seen so far again at each frame takes at least twice
  as long at the last position as at the first; refuted at no more than 1.25 times.
"""

import math
from dataclasses import dataclass

from edgeseq.bench.stats import Latency, Ratio
from edgeseq.claims.cell import Cell, Result
from edgeseq.claims.claim import Claim
from edgeseq.claims.figures import Curves, Figure, Line
from edgeseq.claims.plan import Plan
from edgeseq.claims.verdict import Part, Verdict, Word, above, combine
from edgeseq.measured import Parity

NAME = "latency"
HYPOTHESIS = "LSTM answers at once and streams; Transformer is slow and needs the whole sequence."
METHOD = (
    "Latency of a step of each model's fastest variant: hot, their blocks interleaved in one run; "
    "paced; and against the position in the stream: LSTM, Transformer with "
    "a ring cache, Transformer recomputing everything it has seen."
)
SHARE_OF_PERIOD = 0.1
SLOWER = 1.1
FLAT, GROWS = 1.25, 2.0
PARITY_FRAMES = 10_000


@dataclass(frozen=True)
class PositionCurve:
    """Median latency of one frame's answer against how many frames came before it."""

    name: str
    positions: tuple[int, ...]
    """Frames seen, the answered one included."""
    median_us: tuple[float, ...]
    repeats: int
    """Streams behind each median."""

    @property
    def growth(self) -> float:
        """The last position's median over the first one's."""
        return self.median_us[-1] / self.median_us[0]


@dataclass(frozen=True)
class Times:
    """Of the distribution of a step's latency what decides."""

    p50_us: float
    p50_low_us: float
    p50_high_us: float
    p99_us: float


@dataclass(frozen=True)
class Between:
    """How many times slower one is than another, with the interval."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """What decides the claim; none where it was not measured."""

    lstm: str
    transformer: str
    """Names of the two variants."""
    period_us: float
    """Time between two frames in the paced run."""
    hot: Ratio | Between | None = None
    """Transformer over LSTM, interleaved."""
    lstm_paced: Latency | Times | None = None
    transformer_paced: Latency | Times | None = None
    ring: PositionCurve | None = None
    recompute: PositionCurve | None = None
    parity: Parity | None = None
    """Of the streamed Transformer, against the whole sequence."""
    tolerance: float = 0.0
    """Largest relative error that the bundle promises for it."""


def judge(evidence: Evidence) -> Verdict:
    """Apply the rules above."""
    parts = (
        _at_once(evidence),
        _slower_hot(evidence),
        _slower_paced(evidence),
        _needs_sequence(evidence),
        _recompute(evidence),
    )
    word = combine(parts)
    return Verdict(
        NAME, HYPOTHESIS, METHOD, word, _sentence(evidence, parts), parts, _numbers(evidence)
    )


def _at_once(evidence: Evidence) -> Part:
    statement = "The LSTM answers at once."
    rule = (
        "paced p99 at most a tenth of the frame period; refuted where it is longer than the period"
    )
    paced = evidence.lstm_paced
    if paced is None:
        return _missing(statement, rule)
    share = paced.p99_us / evidence.period_us
    word: Word = "inconclusive"
    if share <= SHARE_OF_PERIOD:
        word = "supported"
    elif share > 1:
        word = "refuted"
    measured = f"p99 {paced.p99_us:.0f} µs of {evidence.period_us:,.0f} µs ({share:.1%})"
    return Part(statement, rule, word, measured)


def _slower_hot(evidence: Evidence) -> Part:
    statement = "A Transformer's step is slower than the LSTM's, one after the other."
    rule = f"interval of the ratio above {SLOWER}; refuted where all of it is below"
    ratio = evidence.hot
    if ratio is None:
        return _missing(statement, rule)
    word = above((ratio.low, ratio.high), SLOWER)
    measured = f"{ratio.ratio:.2f} times as long [{ratio.low:.2f}, {ratio.high:.2f}]"
    return Part(statement, rule, word, measured)


def _slower_paced(evidence: Evidence) -> Part:
    statement = "A Transformer's step is slower than the LSTM's when paced."
    rule = f"interval of the ratio of medians above {SLOWER}; refuted where all of it is below"
    if evidence.lstm_paced is None or evidence.transformer_paced is None:
        return _missing(statement, rule)
    low, high = ratio_of_medians(evidence.transformer_paced, evidence.lstm_paced)
    ratio = evidence.transformer_paced.p50_us / evidence.lstm_paced.p50_us
    measured = f"{ratio:.2f} times as long [{low:.2f}, {high:.2f}]"
    return Part(statement, rule, above((low, high), SLOWER), measured)


def _needs_sequence(evidence: Evidence) -> Part:
    statement = "A Transformer needs the whole sequence."
    rule = (
        f"refuted where streaming equals the whole sequence over {PARITY_FRAMES:,} frames and a "
        f"late step takes at most {FLAT} times an early one; supported where it does not equal "
        f"it, or takes {GROWS:.0f} times as long"
    )
    parity, ring = evidence.parity, evidence.ring
    if parity is None or ring is None:
        return _missing(statement, rule)
    equal = parity.relative_error <= evidence.tolerance
    word: Word = "inconclusive"
    if not equal or ring.growth >= GROWS:
        word = "supported"
    elif parity.steps >= PARITY_FRAMES and ring.growth <= FLAT:
        word = "refuted"
    measured = (
        f"error {parity.relative_error:.1e} of RMS over {parity.steps:,} frames; "
        f"step {ring.positions[-1]} takes {ring.growth:.2f} times step {ring.positions[0]}"
    )
    return Part(statement, rule, word, measured)


def _recompute(evidence: Evidence) -> Part:
    statement = "Without a cache, a Transformer gets slower the longer it listens."
    rule = f"last position at least {GROWS:.0f} times the first; refuted up to {FLAT} times"
    curve = evidence.recompute
    if curve is None:
        return _missing(statement, rule)
    word: Word = "inconclusive"
    if curve.growth >= GROWS:
        word = "supported"
    elif curve.growth <= FLAT:
        word = "refuted"
    measured = (
        f"{curve.median_us[0]:.0f} µs at position {curve.positions[0]}, "
        f"{curve.median_us[-1]:.0f} µs at {curve.positions[-1]} ({curve.growth:.1f} times)"
    )
    return Part(statement, rule, word, measured)


def _missing(statement: str, rule: str) -> Part:
    return Part(statement, rule, "not measured", "not measured")


def ratio_of_medians(slow: Latency | Times, fast: Latency | Times) -> tuple[float, float]:
    """Return a careful 95 % interval of `slow`'s median over `fast`'s.

    The ends divide the ends of both medians' intervals, so it is wider than it need be: the two
    took turns only now and then.
    """
    return slow.p50_low_us / fast.p50_high_us, slow.p50_high_us / fast.p50_low_us


def _sentence(evidence: Evidence, parts: tuple[Part, ...]) -> str:
    at_once, hot, paced, sequence, _ = parts
    pieces = []
    if at_once.word == "supported":
        pieces.append("the LSTM answers at once")
    if sequence.word == "refuted":
        pieces.append("a Transformer with a ring cache streams, too, from bounded state")
    times = [
        f"{part.measured} {where}"
        for part, where in ((hot, "hot"), (paced, "paced"))
        if part.word != "not measured"
    ]
    if times:
        longer = " and ".join(times)
        pieces.append(
            f"a step of the Transformer ({evidence.transformer}) takes {longer} as one of the LSTM "
            f"({evidence.lstm})"
        )
    if evidence.recompute is not None and evidence.recompute.growth >= GROWS:
        pieces.append("what is slow is computing the past again at every frame")
    text = "; ".join(pieces) or "too little was measured to say"
    return text[0].upper() + text[1:] + "."


def _numbers(evidence: Evidence) -> dict[str, float]:
    numbers = {"period_us": evidence.period_us}
    if evidence.hot:
        numbers |= {"hot_ratio": evidence.hot.ratio, "hot_low": evidence.hot.low}
        numbers["hot_high"] = evidence.hot.high
    if evidence.lstm_paced and evidence.transformer_paced:
        low, high = ratio_of_medians(evidence.transformer_paced, evidence.lstm_paced)
        numbers |= {"paced_low": low, "paced_high": high}
    for curve in (evidence.ring, evidence.recompute):
        if curve:
            numbers[f"{curve.name}_growth"] = curve.growth
    return {name: round(value, 4) for name, value in numbers.items()}


TASK, POSITIONS = "har", (1, 8, 16, 32, 64, 128, 256)
ROUNDS, PACED_S = 40, 12.0


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return one measurement of both families in turns."""
    repetitions = plan.scale.repetitions
    return (
        Cell(
            "latency",
            {
                "task": TASK,
                "params": {"lstm": plan.scale.params, "transformer": plan.scale.params},
                "positions": list(POSITIONS),
                "rounds": max(5, round(ROUNDS * repetitions)),
                "paced_s": max(2.0, PACED_S * repetitions),
            },
        ),
    )


def evidence(plan: Plan) -> Evidence:
    """Return what the cell says."""
    found = plan.get(grid(plan)[0])
    if found is None:
        return Evidence("step", "step", 0.0)
    paced = found["paced"]
    return Evidence(
        "step, fp32",
        "step, fp32",
        1e6 / paced["rate_hz"],
        hot=Between(*found["hot_ratio"]["ring"]),
        lstm_paced=_times(paced["lstm"]),
        transformer_paced=_times(paced["ring"]),
        ring=_position(found, "ring"),
        recompute=_position(found, "recomputed"),
        parity=Parity(
            found["parity"]["frames"],
            found["parity"]["relative_error"],
            0,
            math.inf,
            found["parity"]["changed_decisions"],
        ),
        tolerance=found["parity"]["limit"],
    )


def _times(paced: Result) -> Times:
    middle, low, high = paced["us"]
    return Times(middle, low, high, paced["p99_us"])


def _position(found: Result, name: str) -> PositionCurve:
    medians = tuple(found["curves"][name]["us"])
    return PositionCurve(name, tuple(found["positions"]), medians, found["rounds"])


def judge_plan(plan: Plan) -> tuple[Part, ...]:
    """Judge the cell by the rules above."""
    return judge(evidence(plan)).parts


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show the latency of an answer, and the state, against the position in the stream."""
    found = plan.get(grid(plan)[0])
    if found is None:
        return ()
    x = tuple(float(position) for position in found["positions"])
    curves = found["curves"]
    return (
        Curves(
            "Latency against position",
            "frames seen",
            "one answer, µs",
            tuple(
                Line(_NAMES[name], x, tuple(c["us"]), tuple(c["low"]), tuple(c["high"]))
                for name, c in curves.items()
            ),
            "Medians with 95 % intervals; all in turns in one run.",
            log_x=True,
            log_y=True,
        ),
        Curves(
            "State against position",
            "frames seen",
            "state, KiB",
            tuple(Line(_NAMES[name], x, tuple(c["state_kib"])) for name, c in curves.items()),
            "What is kept between two frames; recomputing keeps the frames themselves.",
            log_x=True,
            log_y=True,
        ),
    )


_NAMES = {
    "lstm": "LSTM", "ring": "ring cache", "growing": "growing cache", "recomputed": "recomputed",
}  # fmt: skip

CLAIM = Claim(
    name=NAME,
    sentence=HYPOTHESIS,
    protocol=METHOD + " Weights are random: the time does not depend on them.",
    metrics=("µs a step, hot and paced", "µs against position", "relative error of streaming"),
    rules=tuple(part.rule for part in judge(Evidence("", "", 0.0)).parts),
    grid=grid,
    judge=judge_plan,
    figures=figures,
)
