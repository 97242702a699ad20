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

from dataclasses import dataclass

from edgeseq.bench.stats import Latency, Ratio
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
class Evidence:
    """What decides the claim; none where it was not measured."""

    lstm: str
    transformer: str
    """Names of the two variants."""
    period_us: float
    """Time between two frames in the paced run."""
    hot: Ratio | None = None
    """Transformer over LSTM, interleaved."""
    lstm_paced: Latency | None = None
    transformer_paced: Latency | None = None
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


def ratio_of_medians(slow: Latency, fast: Latency) -> tuple[float, float]:
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
