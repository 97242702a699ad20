"""The claim `edge` on evidence made by hand, at and around every threshold."""

from dataclasses import replace

import pytest

from edgeseq.claims.edge import COSTS, Evidence, Point, judge, pareto
from edgeseq.claims.intervals import Difference

LSTM = Point("lstm", "fp32", "fp32", 88.0, 200.0, 100.0, 3.0, 40.0)
TRANSFORMER = Point("transformer", "fp32", "fp32", 89.0, 240.0, 200.0, 4.0, 60.0)


def difference(low: float, high: float, unit: str = "recordings") -> Difference:
    return Difference((low + high) / 2, low, high, high - low, 28, unit)


def evidence(*points: Point, low: float = -1.5, high: float = 1.0) -> Evidence:
    return Evidence(points or POINTS, (difference(low, high),), "points")


def int8(point: Point, **changes: object) -> Point:
    return replace(point, variant="int8", precision="int8", **changes)


POINTS = (LSTM, int8(LSTM), TRANSFORMER, int8(TRANSFORMER))


def words(found: Evidence) -> dict[str, str]:
    return dict(zip(("accuracy", *COSTS), (part.word for part in judge(found).parts), strict=True))


def test_cheaper_and_not_worse_is_supported() -> None:
    verdict = judge(evidence())
    assert verdict.word == "supported"
    assert verdict.sentence == (
        "The LSTM is cheaper in size, latency, memory and CPU time; the LSTM is not worse by 2 "
        "points or more."
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-1.9, 5.0, "supported"), (-2.0, 5.0, "inconclusive"), (-9.0, -2.0, "inconclusive"),
     (-9.0, -2.1, "refuted")],
)  # fmt: skip
def test_the_margin_of_accuracy(low: float, high: float, expected: str) -> None:
    assert words(evidence(low=low, high=high))["accuracy"] == expected


def test_the_wider_interval_decides_and_the_smallest_effect_is_said() -> None:
    wide = difference(-40.0, 45.0, "subjects")
    found = replace(evidence(), differences=(difference(-1.0, 1.0), wide))
    verdict = judge(found)
    assert verdict.parts[0].word == "inconclusive"
    assert verdict.word == "inconclusive"
    assert "85.0 points with 28 subjects" in verdict.sentence
    assert verdict.parts[0].measured.endswith("smallest difference that could be seen: 85.0")


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(0.95, "supported"), (0.96, "inconclusive"), (1.0, "inconclusive"), (1.05, "inconclusive"),
     (1.06, "refuted")],
)  # fmt: skip
def test_cheaper_is_five_per_cent(factor: float, expected: str) -> None:
    lstm = replace(LSTM, size_kib=240.0 * factor)
    found = words(evidence(lstm, int8(lstm), TRANSFORMER, int8(TRANSFORMER)))
    assert found["size"] == expected


def test_precisions_that_disagree_decide_nothing() -> None:
    found = words(evidence(LSTM, int8(LSTM, paced_us=300.0), TRANSFORMER, int8(TRANSFORMER)))
    assert found["latency"] == "inconclusive"
    assert found["size"] == "supported"


def test_the_cheapest_variant_of_a_precision_counts() -> None:
    step = replace(TRANSFORMER, variant="step", paced_us=50.0)
    found = words(evidence(*POINTS, step, int8(step)))
    assert found["latency"] == "refuted"
    assert judge(evidence(*POINTS, step, int8(step))).word == "mixed"


def test_one_precision_alone_is_not_enough() -> None:
    assert words(evidence(LSTM, TRANSFORMER))["size"] == "inconclusive"


def test_what_was_not_measured_is_said_so() -> None:
    points = tuple(replace(point, memory_mib=None) for point in POINTS)
    verdict = judge(replace(evidence(*points), differences=()))
    found = dict(zip(("accuracy", *COSTS), verdict.parts, strict=True))
    assert found["memory"].word == found["accuracy"].word == "not measured"
    assert verdict.word == "inconclusive"
    assert "accuracy was not compared" in verdict.sentence


def test_the_front_holds_what_nothing_beats() -> None:
    def cost(point: Point) -> float | None:
        return point.paced_us

    cheap, beaten, best = (
        replace(LSTM, variant=name, accuracy=accuracy, paced_us=us)
        for name, accuracy, us in (
            ("cheap", 80.0, 10.0), ("beaten", 79.0, 20.0), ("best", 90.0, 30.0)
        )
    )  # fmt: skip
    unknown = replace(LSTM, variant="unknown", paced_us=None)
    assert pareto((best, unknown, beaten, cheap), cost) == (cheap, best)
    assert (
        judge(evidence())
        .notes[0]
        .startswith(
            "Pareto fronts of accuracy against size: lstm fp32, transformer fp32; against latency: "
        )
    )
