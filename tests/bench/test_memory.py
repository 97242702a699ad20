"""Fresh processes: plausible numbers, an empty session beside every model, clear failures."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseq.bench import fresh, memory, probe
from edgeseq.bench.breakdown import Breakdown, break_down
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
    assert sum(report[part] for part in parts) == report["cold_ns"]
    assert report["interpreter"]["rss"] < report["imported"]["rss"] < report["first"]["rss"]
    assert report["first"]["peak"] <= report["after"]["peak"]
    for moment in ("imported", "first", "after"):
        sizes = report[moment]
        assert 10 * MIB < sizes["uss"] <= sizes["pss"] <= sizes["rss"] * 1.01
        assert sizes["rss"] <= sizes["peak"] * 1.01
    assert report["import_ns"] > report["first_ns"]
    assert report["reload_ns"] > report["warm_ns"] > 0
    steps, sizes = report["growth"]["steps"], report["growth"]["bytes"]
    assert len(steps) == len(sizes) > 50
    assert steps == sorted(set(steps))
    assert memory.probe(replace(job, growth_seconds=0))["growth"] == {"steps": [], "bytes": []}
    assert max(sizes) - min(sizes) < MIB


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


def test_python_counts_its_small_objects(monkeypatch, capfd):
    before = probe.python_pools()
    kept = [bytes(100) for _ in range(20_000)]
    grown = probe.python_pools() - before
    assert 20_000 * 100 < grown < 20_000 * 200
    assert len(kept) == 20_000
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(probe.sys, "_debugmallocstats", lambda: None)
    assert probe.python_pools() == 0


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
            "Anonymous:  6 kB",
            "Private_Clean:  3 kB",
            "Private_Dirty:  4 kB",
        ],
        "/proc/self/status": ["Name: x", "VmHWM:  40 kB", "VmRSS:  32 kB"],
    }
    monkeypatch.setattr(probe, "_lines", files.get)
    kib = 1024
    sizes = {"rss": 30, "pss": 20, "uss": 7, "anonymous": 6, "peak": 40}
    assert probe.memory() == {name: size * kib for name, size in sizes.items()}
    files.pop("/proc/self/smaps_rollup")
    monkeypatch.setattr(probe, "_lines", lambda path: files.get(path, []))
    assert probe.memory() == {"rss": 32 * kib, "peak": 40 * kib}, "an old kernel tells this much"


def test_files_are_what_lies_on_disk(monkeypatch):
    smaps = [
        "55f0-55f1 r-xp 00000000 08:01 131 /usr/lib/libm.so.6",
        "Rss:  40 kB",
        "Anonymous:  0 kB",
        "55f1-55f2 rw-p 00000000 08:01 131 /usr/lib/libm.so.6",
        "Rss:  12 kB",
        "Anonymous:  8 kB",
        "7f00-7f01 rw-s 00000000 00:01 7 /dev/zero (deleted)",
        "Rss:  1000 kB",
        "Anonymous:  0 kB",
        "7f01-7f02 rw-p 00000000 00:00 0 [heap]",
        "Rss:  2000 kB",
        "Anonymous:  2000 kB",
        "7f02-7f03 rw-p 00000000 00:00 0",
        "Rss:  3000 kB",
        "VmFlags: rd wr mr mw me ac",
    ]
    monkeypatch.setattr(probe, "_lines", lambda _path: smaps)
    assert probe.mapped_files() == (40 + 12 - 8) * 1024
    monkeypatch.setattr(probe, "_lines", lambda _path: [])
    assert probe.mapped_files() is None


def test_main_in_this_process(job):
    report = probe.main(
        {
            "source": str(job.source),
            "variant": None,
            "provider": "cpu",
            "session": {"threads": 1},
            "frame": [1.0],
            "steps": 3,
            "growth_seconds": 0.01,
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
    assert cold.reload_ms > cold.warm_step_us / 1e3 > 0
    parts = used.breakdown
    assert parts.unexplained_share < 0.05
    assert 10 < parts.interpreter_mib < parts.total_mib - parts.runtime_mib + 3
    assert parts.runtime_mib > 10
    small = (parts.code_mib, parts.weights_mib, parts.arena_mib, parts.state_mib, parts.freed_mib)
    assert all(abs(size) < 1 for size in small)
    assert used.growth.low < 0.1 * MIB
    assert used.growth_steps > 1000


def reports(**sizes):
    """Return what three processes would report, the sizes given in KiB per process."""
    return [
        {
            "started_ns": 10_000_000 * (index + 1),
            "import_ns": 100_000_000,
            "load_ns": 5_000_000,
            "first_ns": 200_000,
            "cold_ns": 150_000_000,
            "reload_ns": 3_000_000 + index,
            "warm_ns": 12_500.0,
            "heap_model": sizes["heap"][index] * 1024,
            "heap_weights": sizes["heap"][index] * 1024 - 20 * 1024,
            "heap_session": 20 * 1024,
            "heap_steps": 50 * 1024,
            "heap_kept": 70 * 1024,
            "imported": {},
            "interpreter": {"rss": 30 * MIB},
            "first": {"rss": 40_000 * 1024},
            "after": {key: sizes[key][index] * 1024 for key in ("rss", "peak", "uss", "pss")}
            | {"anonymous": sizes["uss"][index] * 1024},
            "files": 10_000 * 1024,
            "python": 2000 * 1024,
            "growth": {"steps": [], "bytes": []},
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
    assert (cold.reload_ms, cold.warm_step_us) == (3.0, 12.5)
    assert (used.growth, used.growth_steps) == (None, None), "no readings, no slope"


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


def one(**changes):
    """Return one process's report, all sizes in MiB."""
    sizes = {
        "rss": 62, "files": 36, "interpreter": 32, "heap_weights": 1, "heap_session": 0,
        "heap_steps": 0, "heap_kept": 0, "python": 3,
    } | changes  # fmt: skip
    sizes = {name: None if size is None else size * MIB for name, size in sizes.items()}
    interpreter, after = ({"rss": sizes.pop(name)} for name in ("interpreter", "rss"))
    return {**sizes, "interpreter": interpreter, "after": after}


def test_every_part_has_its_own_instrument():
    model = one(
        rss=74,
        files=38,
        heap_weights=5,
        heap_session=0.25,
        heap_steps=1.25,
        heap_kept=3,
        python=3.5,
    )
    assert break_down([model], [one()]) == Breakdown(
        total_mib=74,
        interpreter_mib=32,
        runtime_mib=30,
        code_mib=2,
        weights_mib=4,
        arena_mib=1,
        state_mib=0.25,
        freed_mib=3,
        python_mib=0.5,
        unexplained_mib=1.25,
        unexplained_share=round(1.25 / 74, 4),
        unexplained_share_of_added=round(1.25 / 12, 4),
    )


def test_too_much_explained_is_unexplained_too():
    parts = break_down([one(rss=66, heap_weights=9)], [one()])
    assert parts.unexplained_mib == -4
    assert parts.unexplained_share == round(4 / 66, 4)
    assert parts.unexplained_share_of_added == 1
    assert break_down([one()], [one()]).unexplained_share_of_added is None


@pytest.mark.parametrize("missing", ["heap_weights", "heap_kept", "heap_session", "files"])
def test_no_breakdown_without_all_readings(missing):
    assert break_down([one(**{missing: None})], [one()]) is None


def test_no_breakdown_where_nothing_is_told():
    bare = one() | {"interpreter": {}, "after": {}}
    assert break_down([bare], [bare]) is None


def leaking(steps):
    """Return readings of a process that keeps a KiB of every step, in whole pages."""
    return {"steps": steps, "bytes": [50 * MIB + step * 1024 // 4096 * 4096 for step in steps]}


def test_growth_is_the_median_process_and_never_finer_than_a_page():
    steps = list(range(100, 5001, 100))
    flat = {"steps": steps, "bytes": [50 * MIB] * len(steps)}
    told = [{"growth": growth} for growth in (leaking(steps), flat, flat)]
    slope, last = memory._growth(told)
    page = 4 / (4900 / 1e6)  # KiB per million steps
    assert (slope.per_unit, last, slope.samples) == (0, 5000, 50)
    assert (slope.low, slope.high) == (pytest.approx(-page, abs=0.1), pytest.approx(page, abs=0.1))
    slope, _ = memory._growth([{"growth": leaking(steps)}] * 3)
    assert slope.per_unit == pytest.approx(1e6, rel=0.01)
    assert slope.low < 1e6 < slope.high


@linux
def test_a_leak_of_a_kib_a_step_is_found():
    """In a process of its own, as it is used: that of the tests grows and shrinks by itself."""
    program = (
        "import json; from bench.leak import Leak; from edgeseq.bench import probe; "
        "print(json.dumps(probe.grow(Leak(), 10_000, seconds=0.4)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=environment
    )
    found = json.loads(told.stdout)
    slope, _ = memory._growth([{"growth": found}])
    assert slope.low > 0.9e6
    assert slope.per_unit == pytest.approx(1e6, rel=0.05)


@pytest.fixture
def sabotaged(tmp_path, monkeypatch):
    """Return a function that has a program run at the start of every fresh process."""

    def sabotage(program):
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(program)
        monkeypatch.syspath_prepend(tmp_path / "site")

    return sabotage


LEAK = """
from edgeseq.runtime import StreamSession
kept, step = [], StreamSession.step
def leaking(self, frame):
    kept.append(bytearray(1024))
    return step(self, frame)
StreamSession.step = leaking
"""

BALLAST = """
import mmap
from edgeseq.runtime import StreamModel
kept, load = [], StreamModel.load.__func__
def heavy(cls, source, **options):
    if "edgeseq-empty-" not in str(source) and not kept:
        kept.append(mmap.mmap(-1, 8 << 20, flags=mmap.FLAGS))  # past malloc
        for page in range(0, 8 << 20, 4096):
            kept[0][page] = 1
    return load(cls, source, **options)
StreamModel.load = classmethod(heavy)
"""


@linux
def test_a_leaking_step_is_found_in_its_process(job, sabotaged):
    sabotaged(LEAK)
    ((_, used),) = measure_fresh({"leak": job}, repeats=1).values()
    assert used.growth.low > 1e6
    assert used.growth.per_unit == pytest.approx(1.1e6, rel=0.1)


@linux
@pytest.mark.parametrize("kind", ["MAP_PRIVATE", "MAP_SHARED"])
def test_ballast_shows_up_as_unexplained(kind, job, sabotaged):
    sabotaged(BALLAST.replace("FLAGS", kind))
    ((_, used),) = measure_fresh({"ballast": job}, repeats=1).values()
    assert used.breakdown.unexplained_mib == pytest.approx(8, abs=0.5)
    assert used.breakdown.unexplained_share == pytest.approx(8 / 70, abs=0.02)
    assert used.breakdown.unexplained_share_of_added > 0.8


@linux
def test_the_parents_libraries_do_not_count(job):
    """This process has ONNX Runtime loaded; so may another, or none: RSS is the same."""
    before = memory.probe(job)["after"]
    hold = "import edgeseq.runtime.model, onnxruntime, sys; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        other.stdout.readline()
        during = memory.probe(job)["after"]
        other.stdin.close()
    assert during["rss"] == pytest.approx(before["rss"], rel=0.02)


def test_a_process_that_fails_says_why(job, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(identity_onnx()[:40])
    with pytest.raises(EdgeseqError, match=r"could not run .*broken.onnx on cpu: .*cannot load"):
        memory.probe(Job(broken, None, "cpu", SessionSettings(), (0.0,)))


def test_a_process_that_hangs_is_ended(job, monkeypatch):
    def hang(*_args, timeout, **_options):
        raise subprocess.TimeoutExpired("probe", timeout)

    monkeypatch.setattr(fresh.subprocess, "run", hang)
    with pytest.raises(EdgeseqError, match="did not end in 300 s"):
        memory.probe(job)
