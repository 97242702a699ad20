"""A search that never ran, with numbers like a real one's."""

from dataclasses import replace

from report.synthetic import machine

from edgeseq.bundle import Origin
from edgeseq.measured import Accuracy, Paired, Parity
from edgeseq.report.auto import (
    SCHEMA,
    AutoResult,
    Candidate,
    Confirmed,
    Finding,
    Part,
    Sensitivity,
    Timing,
)

WEIGHTS = {"W0": 9600, "R0": 16384, "W1": 16384, "R1": 16384, "head": 448}


def parity(sqnr_db: float, changed: float = 0.002) -> Parity:
    return Parity(10_000, 0.2, 17, sqnr_db, changed, (0.01,) * 10)


def paired(drop: float) -> Paired:
    return Paired(drop, drop - 0.12, drop + 0.12, "points", 14, "recordings", 700)


def accuracy(value: float) -> Accuracy:
    return Accuracy("window accuracy %", value, higher_is_better=True, count=700)


def finding(kib: float, sqnr_db: float, lost: float) -> Finding:
    found = accuracy(90 - lost)
    return Finding(SCHEMA, "ab" * 32, round(kib * 1024), parity(sqnr_db), found, paired(lost))


def candidate(name: str, made_by, schemes, found: Finding, **more) -> Candidate:
    return Candidate(name, made_by, schemes, found, **more)


def auto_result() -> AutoResult:
    every = dict.fromkeys(WEIGHTS, "dynamic")
    narrow = dict.fromkeys(WEIGHTS, "weights4")
    fp32 = Finding(SCHEMA, "cd" * 32, 197_000, None, accuracy(90.0))
    candidates = (
        candidate(
            "fp32", "export", dict.fromkeys(WEIGHTS, "fp32"), fp32,
            timing=Timing(23.4, 1.0, 1.0, 1.0),
            verdict="larger and slower than int8-dynamic",
        ),
        candidate(
            "int8-dynamic", "recipe", every, finding(59.1, 38.4, 0.02),
            timing=Timing(19.4, 0.83, 0.82, 0.84), verdict="preferred",
        ),
        candidate(
            "int8-per-tensor", "recipe", every, finding(57.0, 31.2, 0.61),
            broken=("it may lose 0.73, limit 0.5",), verdict="it may lose 0.73, limit 0.5",
        ),
        candidate(
            "int4-weights", "recipe", narrow, finding(36.5, 17.3, 1.4),
            broken=("it may lose 1.52, limit 0.5", "it is too noisy (RMS error 0.14)"),
            verdict="it may lose 1.52, limit 0.5; it is too noisy (RMS error 0.14)",
        ),
        candidate(
            "int8-static", "recipe", dict.fromkeys(WEIGHTS, "static"),
            Finding(SCHEMA, refused="it needs calibration data"),
            broken=("it could not be made: it needs calibration data",),
            verdict="it could not be made: it needs calibration data",
        ),
        candidate(
            "mixed-1", "walk", narrow | {"R0": "dynamic"}, finding(42.0, 22.0, 0.7),
            broken=("it may lose 0.82, limit 0.5",), verdict="it may lose 0.82, limit 0.5",
        ),
        candidate(
            "mixed-2", "walk", narrow | {"R0": "dynamic", "R1": "dynamic"},
            finding(49.0, 33.0, 0.1), timing=Timing(26.0, 1.11, 1.10, 1.12),
            verdict="slower than fp32 (1.11 times its time)",
        ),
    )  # fmt: skip
    sensitivities = tuple(
        Sensitivity(weight, scheme, elements, parity(base - 3 * number, 0.001))
        for number, (weight, elements) in enumerate(WEIGHTS.items())
        for scheme, base in (("dynamic", 50.0), ("weights4", 30.0))
    )
    return AutoResult(
        schema=SCHEMA,
        created="2026-11-24T09:00:00+00:00",
        edgeseq="edgeseq 0.1.0 (abc1234)",
        bundle="bundle",
        origin=Origin("har", 0, 0, "lstm", 50_000),
        variant="fp32",
        machine=machine(),
        seed=0,
        steps=10_000,
        max_drop=0.5,
        cpu_dependent=True,
        validation=Part(14, ("p3", "p4"), 17_600),
        test=Part(14, ("p1", "p2"), 16_100),
        ladder=("weights4", "dynamic", "fp32"),
        sensitivities=sensitivities,
        candidates=candidates,
        chosen="int8-dynamic",
        because="it is smaller and faster, and loses 0.02 points",
        confirmed=(
            Confirmed("fp32", replace(fp32, accuracy=accuracy(80.3))),
            Confirmed("int8-dynamic", finding(59.1, 38.0, -0.1)),
        ),
    )


def stays() -> AutoResult:
    """fp32 is not beaten."""
    result = auto_result()
    candidates = tuple(
        replace(one, verdict="no faster than fp32 (0.99 times its time)")
        if one.verdict == "preferred"
        else one
        for one in result.candidates
    )
    return replace(
        result, candidates=candidates, chosen="fp32", because="nothing is faster",
        confirmed=result.confirmed[:1],
    )  # fmt: skip
