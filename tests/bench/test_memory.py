"""Fresh processes: plausible numbers, an empty session beside every model, clear failures."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseq.bench import memory, probe
from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.memory import Job, measure_fresh
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MIB = 2**20


@pytest.fixture
def job(tmp_path):
    (tmp_path / "identity.onnx").write_bytes(identity_onnx())
    return Job(tmp_path / "identity.onnx", None, "cpu", SessionSettings(), (0.5,), steps=50)


@linux
def test_a_fresh_process(job):
    begin = time.monotonic_ns()
    report = memory.probe(job)
    assert report["cold_ns"] < time.monotonic_ns() - begin, "from the start of the process"
    parts = ("started_ns", "import_ns", "load_ns", "first_ns")
    assert all(report[part] > 0 for part in parts)
    assert sum(report[part] for part in parts) <= report["cold_ns"]
    assert report["imported"]["rss"] < report["first"]["rss"]
    assert report["first"]["peak"] <= report["after"]["peak"]
    for moment in ("imported", "first", "after"):
        sizes = report[moment]
        assert 10 * MIB < sizes["uss"] <= sizes["pss"] <= sizes["rss"] * 1.01
        assert sizes["rss"] <= sizes["peak"] * 1.01
    assert report["import_ns"] > report["first_ns"]


@linux
def test_the_parent_does_not_count(job):
    small = memory.probe(job)["after"]["peak"]
    ballast = np.ones(150 * MIB // 8)  # a big parent: ru_maxrss of its children would show it
    big = memory.probe(job)["after"]["peak"]
    assert ballast.sum() > 0
    assert big < small + 30 * MIB


@linux
def test_what_a_process_says_of_itself():
    before = probe.memory()
    ballast = np.ones(64 * MIB // 8)
    after = probe.memory()
    assert after["uss"] - before["uss"] == pytest.approx(ballast.nbytes, rel=0.1)
    assert after["peak"] >= after["rss"] * 0.99
    assert after["rss"] - before["rss"] == pytest.approx(ballast.nbytes, rel=0.1)


@linux
def test_heap_counts_what_malloc_gave():
    before = probe.heap()
    if before is None:
        pytest.skip("no mallinfo2 in this C library")
    ballast = np.empty(8 * MIB, np.uint8)
    assert probe.heap() - before == pytest.approx(ballast.nbytes, rel=0.05)


def test_a_system_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(probe, "_lines", lambda _path: [])
    assert probe.memory() == {}
    monkeypatch.setattr(probe.ctypes, "CDLL", lambda _name: SimpleNamespace())
    assert probe.heap() is None


def test_sizes_are_read_to_the_byte(monkeypatch):
    files = {
        "/proc/self/smaps_rollup": [
            "0-1 ---p 0 00:00 0  [rollup]",
            "Rss:  30 kB",
            "Pss:  20 kB",
            "Pss_Dirty:  5 kB",
            "Private_Clean:  3 kB",
            "Private_Dirty:  4 kB",
        ],
        "/proc/self/status": ["Name: x", "VmHWM:  40 kB", "VmRSS:  32 kB"],
    }
    monkeypatch.setattr(probe, "_lines", files.get)
    kib = 1024
    assert probe.memory() == {"rss": 32 * kib, "pss": 20 * kib, "uss": 7 * kib, "peak": 40 * kib}


def test_main_in_this_process(job):
    report = probe.main(
        {
            "source": str(job.source),
            "variant": None,
            "provider": "cpu",
            "session": {"threads": 1},
            "frame": [1.0],
            "steps": 3,
            "spawned_ns": 0,
        }
    )
    assert report["started_ns"] > 0
    assert json.loads(json.dumps(report)) == report


@linux
def test_nothing_costs_nothing_more_than_nothing(job):
    ((cold, used),) = measure_fresh({"nothing": job}, repeats=3).values()
    assert abs(used.attributable_rss_mib) < 3
    assert abs(used.model_heap_kib) < 64
    assert used.peak_rss_mib == pytest.approx(used.runtime_peak_rss_mib, rel=0.05)
    assert 20 < used.uss_mib <= used.rss_mib <= used.peak_rss_mib
    assert (used.steps, used.repeats, cold.repeats) == (50, 3, 3)
    assert cold.total_ms > cold.import_ms > 0
    assert cold.interpreter_ms > 0


def reports(**sizes):
    """Return what three processes would report, the sizes given in KiB per process."""
    return [
        {
            "started_ns": 10_000_000 * (index + 1),
            "import_ns": 100_000_000,
            "load_ns": 5_000_000,
            "first_ns": 200_000,
            "cold_ns": 150_000_000,
            "heap_model": sizes["heap"][index] * 1024,
            "imported": {},
            "first": {"rss": 40_000 * 1024},
            "after": {key: sizes[key][index] * 1024 for key in ("rss", "peak", "uss", "pss")},
        }
        for index in range(3)
    ]


def test_medians_and_differences(job, monkeypatch):
    model = reports(
        rss=(40_960, 40_960, 99_999),
        peak=(51_200, 50_000, 52_000),
        uss=(30_720, 30_720, 0),
        pss=(35_840, 35_840, 35_840),
        heap=(600, 500, 550),
    )
    empty = reports(
        rss=(1, 1, 1),
        peak=(49_152, 49_152, 10),
        uss=(29_696, 29_696, 29_696),
        pss=(1, 1, 1),
        heap=(50, 50, 50),
    )
    queue = [report for pair in zip(model, empty, strict=True) for report in pair]
    monkeypatch.setattr(memory, "probe", lambda _job: queue.pop(0))
    seen = []
    ((cold, used),) = measure_fresh(
        {"m": job}, repeats=3, progress=lambda done, total: seen.append((done, total))
    ).values()
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert cold.interpreter_ms == 20
    assert cold.first_step_ms == 0.2
    assert (used.rss_mib, used.peak_rss_mib, used.runtime_peak_rss_mib) == (40, 50, 48)
    assert (used.attributable_rss_mib, used.attributable_uss_mib) == (2, 1)
    assert used.model_heap_kib == 500
    assert used.growth_kib == 960
    assert used.pss_mib == 35


def test_what_one_process_does_not_tell_is_none(job, monkeypatch):
    told = reports(rss=(1,) * 3, peak=(1,) * 3, uss=(1,) * 3, pss=(1,) * 3, heap=(1,) * 3)
    for report in told:
        del report["after"]["uss"], report["after"]["peak"]
        report["heap_model"] = None
    monkeypatch.setattr(memory, "probe", lambda _job: told[0])
    ((_, used),) = measure_fresh({"m": job}, repeats=2).values()
    assert used.uss_mib is used.peak_rss_mib is used.model_heap_kib is None
    assert used.attributable_rss_mib is used.attributable_uss_mib is None
    assert used.rss_mib is not None


def test_one_empty_session_for_equal_settings(job, monkeypatch):
    sources = []

    def fake(asked):
        sources.append(asked.source.parent == job.source.parent)
        return reports(rss=(1,) * 3, peak=(1,) * 3, uss=(1,) * 3, pss=(1,) * 3, heap=(1,) * 3)[0]

    monkeypatch.setattr(memory, "probe", fake)
    measure_fresh({"a": job, "b": job}, repeats=2)
    assert sources == [True, True, False] * 2


def test_a_process_that_fails_says_why(job, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(identity_onnx()[:40])
    with pytest.raises(EdgeseqError, match=r"could not run .*broken.onnx: .*cannot load"):
        memory.probe(Job(broken, None, "cpu", SessionSettings(), (0.0,)))


def test_a_process_that_hangs_is_ended(job, monkeypatch):
    def hang(*_args, timeout, **_options):
        raise subprocess.TimeoutExpired("probe", timeout)

    monkeypatch.setattr(memory.subprocess, "run", hang)
    with pytest.raises(EdgeseqError, match="did not end in 120 s"):
        memory.probe(job)
