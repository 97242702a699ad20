"""Many streams in one process: what one more costs, and that waste is seen."""

import json
import sys

import numpy as np
import pytest

from edgeseq.bench import streams
from edgeseq.bench.fresh import Job
from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.streams import ManyStreams, measure_many
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError
from edgeseq.runtime import StreamSession

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def job_of(source, variant=None, values=1):
    return Job(source, variant, "cpu", SessionSettings(), (0.5,) * values)


@pytest.fixture
def job(tmp_path):
    (tmp_path / "identity.onnx").write_bytes(identity_onnx())
    return job_of(tmp_path / "identity.onnx")


@linux
def test_a_stream_that_does_nothing_costs_a_few_kib(job):
    found = measure_many(job, streams=300)
    assert (found.streams, found.state_kib) == (300, round(4 / 1024, 3))
    assert 1 < found.session_heap_kib < 16
    assert 1 < found.session_resident_kib < 16
    assert found.session_kib == max(found.session_heap_kib, found.session_resident_kib)
    assert found.row_overhead_kib < 1
    assert found.row_kib == max(found.row_heap_kib, found.row_resident_kib)


@linux
@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_sessions_and_rows_cost_little_more_than_their_state(
    family, lstm_bundle, transformer_bundle
):
    bundle = {"lstm": lstm_bundle, "transformer": transformer_bundle}[family]
    contract = bundle.variant("fp32").contract
    found = measure_many(job_of(bundle.path, "fp32", contract.frame.size), streams=1000)
    with StreamSession(bundle.path) as session:
        state = sum(array.nbytes for array in session.state.values())
    assert found.state_kib == round(state / 1024, 3)
    assert 0 < found.session_overhead_kib <= 16
    assert 0 < found.row_overhead_kib <= 1
    assert found.row_call_kib > found.row_kib


HOARD = """
from edgeseq.runtime import StreamSession
kept, init = [], StreamSession.__init__
def hoarding(self, *args, **options):
    init(self, *args, **options)
    kept.append(bytearray({bytes}))
StreamSession.__init__ = hoarding
"""

TWICE = """
from edgeseq.runtime.buffers import StateMemory
kept, init = [], StateMemory.__init__
def double(self, states, streams, provider):
    init(self, states, streams, provider)
    kept.append([array + 1 for array in self.read(0).values()])
StateMemory.__init__ = double
"""


@pytest.fixture
def sabotaged(tmp_path, monkeypatch):
    def sabotage(program):
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(program)
        monkeypatch.syspath_prepend(tmp_path / "site")

    return sabotage


@linux
def test_a_session_that_hoards_is_seen(job, sabotaged):
    sabotaged(HOARD.format(bytes=64 * 1024))
    found = measure_many(job, streams=100)
    assert 64 < found.session_heap_kib < 80
    assert found.session_overhead_kib > 64
    assert found.row_overhead_kib < 1.5, "one session hoards once"


@linux
def test_pages_that_no_heap_tells_of_are_seen(job, sabotaged):
    """Small objects of Python come from arenas that `mallinfo2` does not know."""
    sabotaged(HOARD.format(bytes=0).replace("bytearray(0)", "[bytes(64) for _ in range(200)]"))
    found = measure_many(job, streams=300)
    assert found.session_resident_kib > found.session_heap_kib + 15
    assert found.session_kib == found.session_resident_kib


@linux
def test_a_state_that_is_kept_twice_is_seen(transformer_bundle, sabotaged):
    sabotaged(TWICE)
    size = transformer_bundle.variant("fp32").contract.frame.size
    found = measure_many(job_of(transformer_bundle.path, "fp32", size), streams=200)
    assert found.row_overhead_kib == pytest.approx(found.state_kib, rel=0.2)


def fake(monkeypatch, sessions, rows):
    asked = []

    def run(_program, _job, **options):
        asked.append(options)
        return rows if options["rows"] else sessions

    monkeypatch.setattr(streams, "run_fresh", run)
    return asked


def test_the_larger_of_two_instruments_counts(job, monkeypatch):
    kib = 1024
    sessions = {"state": 2 * kib, "any_rows": True, "heap": 500 * kib, "resident": 1000 * kib}
    rows = {"heap": 250 * kib, "resident": 240 * kib, "call": 900 * kib}
    asked = fake(monkeypatch, sessions, rows)
    assert measure_many(job, streams=100) == ManyStreams(
        streams=100,
        state_kib=2,
        session_kib=10,
        session_overhead_kib=8,
        session_heap_kib=5,
        session_resident_kib=10,
        row_kib=2.5,
        row_overhead_kib=0.5,
        row_heap_kib=2.5,
        row_resident_kib=2.4,
        row_call_kib=9,
    )
    assert asked == [{"streams": 100, "rows": False}, {"streams": 100, "rows": True}]


def test_what_cannot_be_measured_is_none(job, monkeypatch):
    fake(monkeypatch, {"state": 1024, "any_rows": False}, None)
    found = measure_many(job, streams=10)
    assert found.session_kib is found.session_overhead_kib is found.row_kib is None
    assert found.row_overhead_kib is found.row_call_kib is None
    assert found.state_kib == 1


@linux
@pytest.mark.parametrize("rows", [False, True])
def test_main_in_this_process(job, rows):
    request = {
        "source": str(job.source),
        "variant": None,
        "provider": "cpu",
        "session": {"threads": 1},
        "frame": [1.0],
        "streams": 5,
        "rows": rows,
    }
    report = streams.main(request)
    assert json.loads(json.dumps(report)) == report
    assert (report["state"], report["any_rows"]) == (4, True)
    assert report["heap"] > 0


@linux
def test_one_fixed_stream_has_sessions_and_no_rows(tmp_path, run_of):
    from edgeseq.workflows.export import ExportSettings, export_run

    bundle = export_run(run_of["lstm"], tmp_path / "one", ExportSettings(streams=1, frames=1))
    (name, *_) = bundle.manifest.variants
    size = bundle.variant(name).contract.frame.size
    found = measure_many(job_of(bundle.path, name, size), streams=20)
    assert found.session_kib > 0
    assert found.row_kib is None


def test_what_cannot_be_stepped_is_refused(tmp_path, run_of):
    from edgeseq.workflows.export import ExportSettings, export_run

    bundle = export_run(run_of["lstm"], tmp_path / "whole", ExportSettings(form="sequence"))
    size = bundle.variant("fp32").contract.frame.size
    with pytest.raises(EdgeseqError, match="cannot be stepped one frame of one stream at a time"):
        measure_many(job_of(bundle.path, "fp32", size), streams=2)
    assert np.isfinite(size)
