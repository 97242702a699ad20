"""A demo that never ran, with numbers like a real one's, so that reports need no training."""

from dataclasses import replace

import numpy as np

from edgeseq.bench.breakdown import Breakdown
from edgeseq.bench.chunks import ChunkFit
from edgeseq.bench.conditions import Conditions
from edgeseq.bench.gaps import IdleGap
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import Machine
from edgeseq.bench.memory import ColdStart, Memory
from edgeseq.bench.pace import Paced, PaceSettings
from edgeseq.bench.placement import Placement
from edgeseq.bench.results import SCHEMA as BENCH_SCHEMA
from edgeseq.bench.results import BenchResult, Harness, VariantResult
from edgeseq.bench.slopes import Slope
from edgeseq.bench.stats import Latency, Ratio, summarise
from edgeseq.bench.streams import ManyStreams
from edgeseq.bench.warmup import Warmup
from edgeseq.bench.yardstick import summarise as summarise_processes
from edgeseq.budget import Verdict
from edgeseq.claims import edge, latency
from edgeseq.claims.intervals import Pair, by_recording, by_subject
from edgeseq.claims.latency import PositionCurve
from edgeseq.contract import SessionSettings
from edgeseq.measured import Accuracy, Parity
from edgeseq.report.demo import (
    SCHEMA,
    DemoResult,
    ModelReport,
    Promise,
    RecordingScore,
    TaskFacts,
    VariantReport,
)

LABELS = (
    "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation",
    "trapezius extension", "upright row",
)  # fmt: skip


def latency_like(median_us: float, count: int = 10_000, seed: int = 0) -> Latency:
    """Return a skewed distribution around `median_us`, as real steps have it."""
    rng = np.random.default_rng(seed)
    times = median_us * np.exp(rng.normal(0, 0.06, count))
    times[rng.random(count) < 0.02] *= 3
    return summarise((times * 1000).astype(np.int64))


def late_like(count: int, seed: int, stalls: int, stall_us: float = 12_000) -> Latency:
    """Return wake-ups about 90 µs late, except for some that come after the next frame is due."""
    times = latency_like(90, count, seed).samples_us
    times[np.random.default_rng(seed).choice(count, stalls, replace=False)] = stall_us
    return summarise((times * 1000).round().astype(np.int64))


def variant(name: str, family: str, step_us: float, kib: float, seed: int) -> VariantReport:
    rng = np.random.default_rng(seed)
    int8 = "int8" in name
    value = {"lstm": 88.4, "transformer": 89.1}[family] - 0.1 * int8
    scores = tuple(
        RecordingScore(f"watch-{i:03d}", f"{i % 2:02d}", 12, float(score))
        for i, score in enumerate(np.clip(rng.normal(value, 12, 28), 0, 100))
    )
    confusion = np.full((7, 7), 1) + np.diag(rng.integers(35, 50, 7))
    level = 6e-3 if int8 else 4e-7
    return VariantReport(
        name=name,
        precision="int8" if int8 else "fp32",
        file_kib=kib,
        state_kib=1.1 if family == "lstm" else 32.4,
        opset=24 if "step" in name else 17,
        min_onnxruntime="1.24" if "step" in name else "1.14",
        accuracy=Accuracy("window accuracy %", round(value, 2), True, 336),
        recordings=scores,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        parity=Parity(
            steps=10_000,
            relative_error=level * 9,
            at_step=7123,
            sqnr_db=44.0 if int8 else 127.0,
            changed_decisions=0.0023 if int8 else 0.0,
            drift=tuple(level * float(f) for f in rng.uniform(0.8, 1.2, 10)),
        ),
        tolerance=0.3 if int8 else 1e-5,
        hot=latency_like(step_us, seed=seed),
        paced=Paced(
            50.0, latency_like(step_us * 9, 250, seed), latency_like(90, 250, seed), 31.0, 140.0,
            0, 250, round(20 + step_us * 1.4, 2), None,
        ),
        memory=Memory(
            peak_rss_mib=54 + kib / 90, rss_mib=53 + kib / 90, pss_mib=38 + kib / 90,
            uss_mib=36 + kib / 90, runtime_peak_rss_mib=52.9,
            attributable_rss_mib=1.1 + kib / 90, attributable_uss_mib=1.0 + kib / 95,
            model_heap_kib=kib * 1.2, growth_kib=0.0, steps=1000, repeats=5,
        ),
        cold=ColdStart(14.2, 118.5, 6.1, 0.4, 139.2, 5),
    )  # fmt: skip


def curves() -> tuple[PositionCurve, ...]:
    at = (1, 8, 16, 32, 64, 128, 256)
    flat = np.array([1.03, 1, 1, 0.99, 1, 1.01, 1])
    return (
        PositionCurve("lstm step", at, tuple((19 * flat).round(2).tolist()), 30),
        PositionCurve("ring step", at, tuple((24 * flat).round(2).tolist()), 30),
        PositionCurve("recompute", at, (46.0, 71.0, 104.0, 160.0, 290.0, 590.0, 1490.0), 30),
    )


def models() -> tuple[ModelReport, ...]:
    promises = (
        Promise("fp32", "whole = stepwise", "kept", "3.1e-07 of RMS"),
        Promise("int8", "changed decisions", "kept", "0.2 % of frames"),
    )
    lstm = (variant("fp32", "lstm", 19, 201.4, 1), variant("int8", "lstm", 13.5, 63.2, 2))
    transformer = (
        variant("fp32", "transformer", 44, 226.8, 3),
        variant("step", "transformer", 24, 222.9, 4),
        variant("int8", "transformer", 52, 92.1, 5),
        variant("step-int8", "transformer", 29, 88.7, 6),
    )
    why = "its window accuracy is 0.1 points below fp32's, it is smaller and faster"
    return (
        ModelReport(
            "lstm", "2 layers of 67 units", 49_812, 94.2, 1150,
            "int8", why, "int8", lstm, promises,
        ),
        ModelReport(
            "transformer", "2 blocks, width 48, 4 heads, window 32", 49_999, 171.8, 1200,
            "step", "int8 is slower here", "step", transformer, promises,
        ),
    )  # fmt: skip


def machine() -> Machine:
    return Machine(
        cpu="Intel(R) Xeon(R) Processor @ 2.80GHz", architecture="x86_64",
        flags=("avx2", "fma", "avx512f", "avx512_vnni"), cores=2, memory_mib=7951, board="",
        system="Linux-6.1", governor=None, load_1m=0.4, virtualised=True, python="3.11.2",
        numpy="2.3.5", onnxruntime="onnxruntime 1.32.0", onnxruntime_build="release",
        providers=("CPUExecutionProvider",),
    )  # fmt: skip


def demo() -> DemoResult:
    """Return the whole thing; the verdicts are judged, not made up."""
    both = models()
    lstm, transformer = (model.shipped for model in both)
    positions = curves()
    ratio = Ratio("transformer step", "lstm int8", 1.78, 1.75, 1.82, 0.95, 40, 20)
    latency_evidence = latency.Evidence(
        "int8", "step", 20_000.0, ratio, lstm.paced.step, transformer.paced.step,
        positions[1], positions[2], transformer.parity, 1e-5,
    )  # fmt: skip
    pairs = [
        Pair(a.subject, a.count, a.value, b.value)
        for a, b in zip(lstm.recordings, transformer.recordings, strict=True)
    ]
    edge_evidence = edge.Evidence(
        tuple(
            edge.Point(
                model.family, item.name, item.precision, item.accuracy.value, item.file_kib,
                item.paced.step.p50_us, item.memory.attributable_rss_mib,
                item.paced.cpu_seconds_per_hour,
            )
            for model in both
            for item in model.variants
        ),
        (by_recording(pairs), by_subject(pairs)),
        "points",
    )  # fmt: skip
    return DemoResult(
        schema=SCHEMA,
        status="measured",
        created="2026-11-23T02:00:00+00:00",
        edgeseq="0.1.0",
        machine=machine(),
        task=TaskFacts(
            "har", "6-axis smartwatch at 50 Hz, 7 exercises, 10 people; 2-second windows",
            "seglearn 1.2.5 on PyPI, BSD-3-Clause", LABELS, 50.0, 4, 0, 5, 0, ("00", "05"),
            {
                "majority class": Accuracy("window accuracy %", 16.71, True, 336),
                "random forest": Accuracy("window accuracy %", 86.94, True, 336),
            },
        ),
        models=both,
        ratios=(ratio, replace(ratio, candidate="lstm fp32", ratio=1.41, low=1.39, high=1.43)),
        positions=positions,
        harness=Harness(
            latency_like(0.14),
            latency_like(4.2),
            Paced(
                50.0, latency_like(0.9, 250), latency_like(80, 250), 20.0, 90.0, 0, 250, 14.2, None
            ),
        ),
        hot_settings=HotSettings(),
        pace_settings=PaceSettings(50.0),
        seconds={"train and export": 190.4, "quantize": 9.9, "check": 14.0, "bench": 71.2},
        claims=(latency.judge(latency_evidence), edge.judge(edge_evidence)),
        commands=("edgeseq demo -o demo --task har --params 50000 --seed 0 --fold 0",),
        not_measured={"CUDA": "this ONNX Runtime has no CUDA provider"},
    )  # fmt: skip


def bench_result() -> BenchResult:
    """Return a benchmark of two variants, with a promise of every kind."""
    return BenchResult(
        schema=BENCH_SCHEMA,
        status="measured",
        created="2026-11-24T02:00:00+00:00",
        edgeseq="0.1.0",
        device="x86-64-vnni",
        is_device=True,
        machine=machine(),
        gpu=None,
        conditions=Conditions(48.2, None, 0.4, 0.9, 0.0021, 17, 10, 70.0),
        hot_settings=HotSettings(),
        pace_settings=PaceSettings(100.0, 15.0),
        variants=(measured("fp32", 19.0, 201.4, 1), measured("int8", 13.5, 63.2, 2)),
        ratios=(Ratio("int8", "fp32", 0.71, 0.705, 0.716, 0.95, 40, 20),),
        throughput=None,
        harness=Harness(
            latency_like(0.14),
            latency_like(4.2),
            Paced(
                100.0, latency_like(0.9, 250), latency_like(80, 250), 20.0, 90.0, 0, 250, 14.2, None
            ),
        ),
        budget=(
            Verdict("fp32", "model_kib", "pass", "4096 KiB", 201.4, "201.4 KiB is within 4096 KiB"),
            Verdict("fp32", "step_p99_ms", "not checked", "1 ms", 0.4, "measure longer"),
            Verdict("int8", "hot p50 vs fp32", "fail", "1.05 times", 1.2, "1.2 times [1.1, 1.3]"),
        ),
        not_measured={"machine.governor": "this system (linux) does not tell"},
    )


def measured(name: str, step_us: float, kib: float, seed: int) -> VariantResult:
    """Return what was measured of a variant whose steps take about `step_us`."""
    known = variant(name, "lstm", step_us, kib, seed)
    sizes = (1, 2, 4, 8, 16, 32, 64)
    line = tuple(9.0 + 7.5 * size for size in sizes)
    return VariantResult(
        name=name, bundle="har-lstm", variant=name, sha256="0" * 64, family="lstm", task="har",
        parameters=49_812, precision=known.precision, provider="cpu", session=SessionSettings(),
        file_kib=kib, state_kib=1.1, accuracy=known.accuracy, hot=known.hot,
        warmup=Warmup(150, 1000, True, 241.0),
        against_floor=summarise_processes([step_us / 4.2 * error for error in (0.99, 1.0, 1.01)]),
        chunks=ChunkFit(sizes, line, 9.0, 8.9, 9.1, 7.5, 7.4, 7.6, 0.0),
        paced=Paced(
            100.0, latency_like(step_us * 9, 1500, seed), late_like(1500, seed, stalls=2), 31.0,
            140.0, 2, 1500, round(20 + step_us * 1.4, 2), None,
        ),
        idle=tuple(IdleGap(gap, step_us + 5 * gap * seed / 2 + 17.5 * (seed - 1), 200.0, 10)
                   for gap in (0.0, 1.0, 10.0)),
        cold=known.cold,
        memory=replace(
            known.memory,
            breakdown=Breakdown(
                60.0, 32.0, 26.5, 0.5, 0.6, 0.1, 0.02, 0.2, 0.03, 0.05, 0.0008, 0.033
            ),
            growth=Slope(0.0, -40.0, 40.0, 0.95, 200),
            growth_steps=113_600,
        ),
        many=ManyStreams(1000, 0.375, 9.2, 8.8, 5.2, 9.2, 0.52, 0.15, 0.5, 0.52, 1.1),
        placement=Placement("cpu", {"CPUExecutionProvider": {"LSTM": 2}}, (), 0.0, 0.0, 3, "x"),
        on_gpu=None,
    )  # fmt: skip
