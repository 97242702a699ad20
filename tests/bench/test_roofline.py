"""The roofline: its model against figures made up, its kernels against what they should give."""

import itertools

import numpy as np
import pytest

from edgeseq.bench.bandwidth import (
    Bandwidth,
    Cache,
    _kernels,
    level_of,
    measure_bandwidths,
    read_caches,
)
from edgeseq.bench.products import Peak, Product, in_numpy, in_onnxruntime, measure_peaks, products
from edgeseq.bench.roofline import Roofline, RooflineSettings, last_core, measure_core
from edgeseq.bench.stats import Spread, spread
from edgeseq.errors import EdgeseqError, UsageError

CACHES = (Cache("L1", 32), Cache("L2", 512))


def flat(value):
    return Spread(value, value, value)


def machine():
    """80 GFLOP/s; 160, 40 and 10 GB/s by the best kernel of each level's largest working set."""
    rows = ((16, 160.0, 1.0), (64, 90.0, 1.0), (256, 40.0, 30.0), (1024, 5.0, 10.0))
    return Roofline(
        (
            Peak("NumPy", "float32", 512, flat(70.0)),
            Peak("ONNX Runtime", "float32", 512, flat(80.0)),
            Peak("ONNX Runtime", "int8", 512, flat(200.0)),
        ),
        tuple(
            Bandwidth(kib, level_of(kib, CACHES), flat(read), flat(0.5), flat(add))
            for kib, read, add in rows
        ),
        CACHES,
    )


def test_the_knee_is_where_peak_and_bandwidth_meet():
    found = machine()
    assert found.levels == ("L1", "L2", "memory")
    assert [found.bandwidth(level) for level in found.levels] == [160.0, 40.0, 10.0]
    assert [found.knee(level) for level in found.levels] == [0.5, 2.0, 8.0]
    for level in found.levels:
        knee = found.knee(level)
        assert found.attainable(knee, level) == 80.0 == found.attainable(2 * knee, level)
        assert found.attainable(knee / 2, level) == 40.0


def test_the_peak_is_the_best_product_of_its_type():
    found = machine()
    assert (found.peak().by, found.peak("int8").gflops.median) == ("ONNX Runtime", 200.0)
    with pytest.raises(KeyError, match="float16"):
        found.peak("float16")


def test_a_product_is_timed_in_turns_and_the_first_round_warms_up():
    ticks = itertools.count(0, 1000)  # every run lasts 1,000 ns of this clock
    turns = []
    asked = [Product("a", "float32", 10, lambda: turns.append("a"))]
    asked.append(Product("b", "float32", 100, lambda: turns.append("b")))
    found = measure_peaks(asked, 2, lambda: next(ticks))
    assert turns == ["a", "b"] * 3
    assert [peak.gflops.median for peak in found] == [2.0, 2000.0]  # 2 n^3 operations in 1 µs


def test_products_multiply():
    out = in_numpy(20).run()
    draw = [np.random.default_rng(seed).standard_normal((20, 20), np.float32) for seed in (0, 1)]
    np.testing.assert_allclose(out, draw[0].astype(float) @ draw[1], atol=1e-5)
    for dtype in ("float32", "int8"):
        in_onnxruntime(16, dtype).run()
    assert [(p.by, p.dtype) for p in products((16,))] == [
        ("NumPy", "float32"), ("ONNX Runtime", "float32"), ("ONNX Runtime", "int8"),
    ]  # fmt: skip


def test_kernels_touch_what_is_counted():
    """16 KiB: two arrays of 2,048 values or three of 1,360, whole cache lines each."""
    kernels = _kernels(16 * 1024)
    assert {name: moved for name, (_, moved) in kernels.items()} == {
        "read": 256 * 2048 * 8, "copy": 128 * 2048 * 8, "add": 128 * 1360 * 12,
    }  # fmt: skip
    read, summed = (kernels[name][0]() for name in ("read", "add"))
    assert read.shape == (256, 1, 1)
    assert set(np.unique(read)) == {2048.0}  # of ones by ones
    assert summed.shape == (128, 1360)
    assert set(np.unique(summed)) == {2.0}


def test_bandwidth_is_bytes_over_time_with_its_level():
    ticks = itertools.count(0, 100_000)
    small, large = measure_bandwidths((16, 2048), 2, caches=CACHES, clock=lambda: next(ticks))
    assert (small.level, large.level) == ("L1", "memory")
    assert small.read.median == pytest.approx(256 * 2048 * 8 / 1e5, rel=1e-3)
    assert small.best == small.read.median
    assert large.copy.median == pytest.approx(2 * 2**21 / 1e5, rel=1e-3)


def test_caches_are_read_as_linux_writes_them(tmp_path):
    for index, (kind, level, size) in enumerate(
        (("Data", 1, "48K"), ("Instruction", 1, "32K"), ("Unified", 3, "32M"), ("Unified", 2, "2M"))
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("type", kind), ("level", level), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    caches = read_caches(tmp_path)
    assert caches == (Cache("L1", 48), Cache("L2", 2048), Cache("L3", 32768))
    assert [level_of(kib, caches) for kib in (48, 49, 32768, 32769)] == ["L1", "L2", "L3", "memory"]
    assert read_caches(tmp_path / "nowhere") == ()
    assert level_of(1, ()) == "memory"


def test_a_core_is_measured_in_a_process_of_its_own():
    asked = RooflineSettings(rounds=1, products=(16,), kib=(64, 16), integers=False)
    found = measure_core(asked, last_core())
    assert [(p.by, p.size) for p in found.peaks] == [("NumPy", 16), ("ONNX Runtime", 16)]
    assert [row.kib for row in found.bandwidths] == [16, 64]
    assert min(row.best for row in found.bandwidths) > 0
    assert min(peak.gflops.low for peak in found.peaks) > 0


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        RooflineSettings(rounds=0)
    with pytest.raises(UsageError, match="at least 1"):
        RooflineSettings(kib=())
    with pytest.raises(
        EdgeseqError, match=r"could not measure this core: .*cannot pin to core 9999"
    ):
        measure_core(RooflineSettings(rounds=1, products=(16,), kib=(16,)), 9999)


def test_a_spread_holds_its_median():
    found = spread([1.0, 2.0, 3.0, 4.0, 100.0])
    assert found.median == 3.0
    assert 1.0 <= found.low < 3.0 < found.high <= 100.0
    assert spread([0.123456]) == flat(0.1235)
