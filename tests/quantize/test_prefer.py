"""The rule for what to ship, row by row, and the sentence it leaves."""

from dataclasses import replace

import pytest

from edgeseq.bundle import Accuracy, Latency, Parity, Tolerance, Variant
from edgeseq.contract import Contract, Frame, Output
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
        "a machine) and as accurate (window accuracy % 89.1 against 89.3, max drop 0.5)"
    )


def test_slower_is_a_result_with_its_numbers():
    choice = choose(variant(56_000, 89.1, 22.0))
    assert choice.preferred == "fp32"
    assert choice.because == (
        "int8 is slower here (22.0 µs a step against 20.0 µs, a machine); it is smaller (56 kB "
        "against 198 kB) and as accurate (window accuracy % 89.1 against 89.3, max drop 0.5)"
    )


@pytest.mark.parametrize(
    ("int8", "reason"),
    [
        (variant(200_000, 89.1, 15.0), "int8 is not smaller (200 kB against 198 kB); it is"),
        (variant(198_000, 89.1, 15.0), "int8 is not smaller"),
        (variant(56_000, 89.1, 19.5), "int8 is no faster here (19.5 µs"),
        (variant(56_000, 89.1, 20.5), "int8 is no faster here (20.5 µs"),
        (variant(56_000, 88.7, 15.0), "int8 is less accurate (window accuracy % 88.7 against"),
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


@pytest.mark.parametrize(("max_drop", "preferred"), [(0.19, "fp32"), (0.21, "int8"), (5, "int8")])
def test_max_drop_decides_in_points(max_drop, preferred):
    assert choose(GOOD, max_drop=max_drop).preferred == preferred


@pytest.mark.parametrize(
    ("fp32", "int8", "expected"),
    [
        (accuracy(89.3), accuracy(89.1), 0.2),
        (accuracy(89.1), accuracy(89.3), -0.2),
        (accuracy(10.0, "MAE mg/dL", higher=False), accuracy(10.1, higher=False), 1.0),
        (accuracy(10.0, "MAE mg/dL", higher=False), accuracy(9.9, higher=False), -1.0),
        (accuracy(0.5, "F1"), accuracy(0.4, "F1"), 20.0),
        (accuracy(0.0, "MAE", higher=False), accuracy(0.0, higher=False), 0.0),
        (accuracy(0.0, "MAE", higher=False), accuracy(0.1, higher=False), float("inf")),
    ],
)
def test_drop_is_points_of_a_percentage_else_per_cent(fp32, int8, expected):
    assert drop(fp32, int8) == (pytest.approx(expected) if expected else 0)
