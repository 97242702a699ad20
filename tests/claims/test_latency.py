"""The claim `latency` on evidence made by hand, at and around every threshold."""

from dataclasses import replace

import numpy as np
import pytest

from edgeseq.bench.stats import Latency, Ratio, summarise
from edgeseq.claims.latency import Evidence, PositionCurve, judge, ratio_of_medians
from edgeseq.measured import Parity

AT_ONCE, HOT, PACED, SEQUENCE, RECOMPUTE = range(5)


def steps(low_us: float, high_us: float, count: int = 400) -> Latency:
    times = np.random.default_rng(0).permutation(np.linspace(low_us, high_us, count))
    return summarise((times * 1000).astype(np.int64))


def ratio(value: float, low: float, high: float) -> Ratio:
    return Ratio("transformer step", "lstm int8", value, low, high, 0.95, 40, 20)


def curve(name: str, first: float, last: float) -> PositionCurve:
    return PositionCurve(name, (1, 64, 256), (first, (first + last) / 2, last), 40)


EVIDENCE = Evidence(
    lstm="int8",
    transformer="step",
    period_us=20_000.0,
    hot=ratio(1.8, 1.7, 1.9),
    lstm_paced=steps(90, 110),
    transformer_paced=steps(190, 210),
    ring=curve("ring step", 24, 24),
    recompute=curve("recompute", 40, 1600),
    parity=Parity(10_000, 3e-6, 17, 120.0, 0.0),
    tolerance=1e-5,
)


def word(part: int, **changes: object) -> str:
    return judge(replace(EVIDENCE, **changes)).parts[part].word


def test_the_usual_outcome_is_mixed() -> None:
    verdict = judge(EVIDENCE)
    assert [part.word for part in verdict.parts] == [
        "supported", "supported", "supported", "refuted", "supported",
    ]  # fmt: skip
    assert verdict.word == "mixed"
    assert "1.80 times as long [1.70, 1.90] hot" in verdict.sentence
    assert verdict.numbers["hot_low"] == 1.7


@pytest.mark.parametrize(
    ("p99", "expected"),
    [(2000.0, "supported"), (2001.0, "inconclusive"), (20_000.0, "inconclusive"),
     (20_001.0, "refuted")],
)  # fmt: skip
def test_at_once_is_a_tenth_of_the_period(p99: float, expected: str) -> None:
    assert word(AT_ONCE, lstm_paced=replace(steps(90, 110), p99_us=p99)) == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((1.11, 1.2), "supported"), ((1.05, 1.2), "inconclusive"), ((0.8, 1.05), "refuted")],
)
def test_slower_is_more_than_a_tenth(interval: tuple[float, float], expected: str) -> None:
    assert word(HOT, hot=ratio(1.1, *interval)) == expected


@pytest.mark.parametrize(
    ("slow", "expected"),
    [(steps(190, 210), "supported"), (steps(50, 60), "refuted"), (steps(60, 160), "inconclusive")],
)
def test_slower_when_paced(slow: Latency, expected: str) -> None:
    assert word(PACED, transformer_paced=slow) == expected


def test_fewer_paced_steps_are_less_certain() -> None:
    few = ratio_of_medians(steps(90, 110, 20), steps(90, 110, 20))
    many = ratio_of_medians(steps(90, 110, 2000), steps(90, 110, 2000))
    assert few[0] < many[0] < 1 < many[1] < few[1]


@pytest.mark.parametrize(
    ("error", "frames", "growth", "expected"),
    [
        (1e-5, 10_000, 1.25, "refuted"),
        (1.1e-5, 10_000, 1.0, "supported"),
        (1e-6, 9_999, 1.0, "inconclusive"),
        (1e-6, 10_000, 1.3, "inconclusive"),
        (1e-6, 10_000, 2.0, "supported"),
    ],
)
def test_needing_the_sequence(error: float, frames: int, growth: float, expected: str) -> None:
    parity = Parity(frames, error, 0, 100.0, 0.0)
    assert word(SEQUENCE, parity=parity, ring=curve("ring step", 20, 20 * growth)) == expected


@pytest.mark.parametrize(
    ("growth", "expected"), [(2.0, "supported"), (1.9, "inconclusive"), (1.25, "refuted")]
)
def test_recomputing_gets_slower(growth: float, expected: str) -> None:
    assert word(RECOMPUTE, recompute=curve("recompute", 40, 40 * growth)) == expected


def test_nothing_measured_is_said_so() -> None:
    verdict = judge(Evidence("int8", "step", 20_000.0))
    assert verdict.word == "not measured"
    assert {part.measured for part in verdict.parts} == {"not measured"}
    assert verdict.sentence == "Too little was measured to say."
