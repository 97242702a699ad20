"""The rule for what to ship, row by row, and the sentence it leaves."""

from dataclasses import replace

import pytest

from edgeseq.bundle import Tolerance, Variant
from edgeseq.contract import Contract, Frame, Output
from edgeseq.measured import Accuracy, Latency, Paired, Parity
from edgeseq.quantize.prefer import drop, prefer

CONTRACT = Contract(
    frame=Frame(("a",), ("g",), 50.0),
    output=Output("logits", ("x", "y")),
    states=(),
    form="step",
    min_onnxruntime="1.16.0",
    producer="test",
    recipe="test",
)


def accuracy(value, metric="window accuracy %", *, higher=True):
    return Accuracy(metric, value, higher, 100)


def paired(drop, low, high, clusters=28):
    return Paired(drop, low, high, "points", clusters, "recordings", 500)


def variant(size, value, micros, *, changed=0.0, error=0.01, fp32_micros=20.0):
    return Variant(
        file="m.onnx",
        sha256="",
        bytes=size,
        precision="int8",
        opset=17,
        operators={},
        contract=CONTRACT,
        tolerance=Tolerance(relative_error=0.2, noise=0.05, changed_decisions=0.01),
        parity=Parity(1000, error, 5, 40.0, changed),
        accuracy=accuracy(value),
        latency=Latency(micros, fp32_micros, "a machine", "1.32"),
        paired=paired(89.3 - value, 89.3 - value - 0.2, 89.3 - value + 0.2),
    )


FP32 = variant(198_000, 89.3, 20.0)
GOOD = variant(56_000, 89.1, 15.0)


def choose(int8, *, fp32=FP32, max_drop=0.5, no_accuracy="no data"):
    return prefer(("fp32", fp32), ("int8", int8), max_drop=max_drop, no_accuracy=no_accuracy)


def test_smaller_faster_and_as_accurate_is_preferred():
    choice = choose(GOOD)
    assert choice.preferred == "int8"
    assert choice.because == (
        "int8 is smaller (56 kB against 198 kB), faster here (15.0 µs a step against 20.0 µs, "
        "a machine) and as accurate (drop 0.20 points, 95 % 0.00 to 0.40 over 28 recordings, "
        "max 0.5)"
    )


def test_slower_is_a_result_with_its_numbers():
    choice = choose(variant(56_000, 89.1, 22.0))
    assert choice.preferred == "fp32"
    assert choice.because == (
        "int8 is slower here (22.0 µs a step against 20.0 µs, a machine); it is smaller (56 kB "
        "against 198 kB) and as accurate (drop 0.20 points, 95 % 0.00 to 0.40 over 28 recordings, "
        "max 0.5)"
    )


@pytest.mark.parametrize(
    ("int8", "reason"),
    [
        (variant(200_000, 89.1, 15.0), "int8 is not smaller (200 kB against 198 kB); it is"),
        (variant(198_000, 89.1, 15.0), "int8 is not smaller"),
        (variant(56_000, 89.1, 19.5), "int8 is no faster here (19.5 µs"),
        (variant(56_000, 89.1, 20.5), "int8 is no faster here (20.5 µs"),
        (variant(56_000, 88.7, 15.0), "int8 is of uncertain accuracy (drop 0.60 points, 95 %"),
        (variant(56_000, 88.5, 15.0), "int8 is less accurate (drop 0.80 points, 95 % 0.60 to 1.00"),
        (replace(GOOD, paired=None), "of uncertain accuracy (drop 0.2, max 0.5; too few record"),
        (variant(56_000, 89.1, 15.0, changed=0.02), "changing decisions (2.00% of frames, limit"),
        (variant(56_000, 89.1, 15.0, error=0.3), "out of tolerance (0.3 of the outputs' RMS"),
        (replace(GOOD, accuracy=None), "int8 is of unknown accuracy (no data); it is smaller"),
        (replace(GOOD, latency=None), "int8 is of unknown speed"),
    ],
)
def test_every_reason_against_keeps_fp32(int8, reason):
    choice = choose(int8)
    assert choice.preferred == "fp32"
    assert reason in choice.because


def test_all_reasons_against_are_named():
    because = choose(variant(200_000, 80.0, 30.0)).because
    assert because.startswith("int8 is not smaller (")
    assert ", slower here (" in because
    assert " and less accurate (" in because
    assert "; it is" not in because


@pytest.mark.parametrize(
    ("found", "preferred", "why"),
    [
        (paired(0.0, -0.5, 0.49), "int8", "as accurate"),
        (paired(0.0, -0.5, 0.51), "fp32", "max 0.5: inconclusive)"),
        (paired(0.0, -0.1, 0.1, clusters=7), "fp32", "over 7 recordings, max 0.5: inconclusive)"),
        (paired(0.7, 0.51, 0.9), "fp32", "less accurate"),
    ],
)
def test_a_drop_that_only_seems_small_enough_is_not_counted_as_kept(found, preferred, why):
    choice = choose(replace(GOOD, paired=found))
    assert choice.preferred == preferred
    assert why in choice.because


@pytest.mark.parametrize(("max_drop", "preferred"), [(0.39, "fp32"), (0.41, "int8"), (5, "int8")])
def test_max_drop_decides_in_points(max_drop, preferred):
    assert choose(GOOD, max_drop=max_drop).preferred == preferred


@pytest.mark.parametrize(
    ("fp32", "int8", "expected"),
    [
        (accuracy(89.3), accuracy(89.1), 0.2),
        (accuracy(89.1), accuracy(89.3), -0.2),
        (accuracy(10.0, "MAE mg/dL", higher=False), accuracy(10.1, higher=False), 1.0),
        (accuracy(10.0, "MAE mg/dL", higher=False), accuracy(9.9, higher=False), -1.0),
        (accuracy(2.0, "MAE % a day", higher=False), accuracy(2.1, higher=False), 5.0),
        (accuracy(0.5, "F1"), accuracy(0.4, "F1"), 20.0),
        (accuracy(0.0, "MAE", higher=False), accuracy(0.0, higher=False), 0.0),
        (accuracy(0.0, "MAE", higher=False), accuracy(0.1, higher=False), float("inf")),
    ],
)
def test_drop_is_points_of_a_percentage_else_per_cent(fp32, int8, expected):
    assert drop(fp32, int8) == (pytest.approx(expected) if expected else 0)
