"""Memory by the length of a stream: what is asked of each process, and what is taken off."""

import sys

import pytest
from export.small import FRAME, graph_of

from edgeseq.bench import lengths
from edgeseq.bench.fresh import Job
from edgeseq.contract import SessionSettings

MIB = 2**20


def job(file):
    return Job(file, None, "cpu", SessionSettings(), (0.5,) * FRAME.size)


def test_a_peak_is_above_that_of_a_session_that_does_nothing(monkeypatch, tmp_path):
    asked = []

    def run(program, job, length):
        asked.append((program, job.source.name, len(job.frame), length))
        base = 60 + length if job.source.name == "identity.onnx" else 100 + 3 * length
        return {"peak": base * MIB}

    monkeypatch.setattr(lengths, "run_fresh", run)
    jobs = {"whole": job(tmp_path / "whole.onnx")}
    found = lengths.measure_lengths(jobs, (1, 10), repeats=2)
    assert found == {"idle": (61.0, 70.0), "whole": (42.0, 60.0)}
    program = "edgeseq.bench.lengths"
    assert asked[:2] == [(program, "identity.onnx", 1, 1), (program, "whole.onnx", 4, 1)]
    assert len(asked) == 2 * 2 * 2


def test_what_the_system_does_not_tell_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(lengths, "run_fresh", lambda *_, **__: {})
    found = lengths.measure_lengths({"whole": job(tmp_path / "m.onnx")}, (1,), repeats=1)
    assert found == {"idle": (None,), "whole": (None,)}


@pytest.mark.parametrize("form", ["step", "sequence"])
def test_a_stream_of_that_length_is_answered(form, tmp_path, monkeypatch):
    from edgeseq.runtime import StreamSession

    file = tmp_path / f"{form}.onnx"
    file.write_bytes(graph_of("rotary", form=form).SerializeToString())
    fed = []
    for name in ("step", "run"):
        monkeypatch.setattr(
            StreamSession, name, lambda self, x, name=name: fed.append((name, x.shape))
        )
    request = {
        "source": str(file), "variant": None, "provider": "cpu", "session": {},
        "frame": [0.5] * FRAME.size, "length": 3,
    }  # fmt: skip
    found = lengths.main(request)
    size = (FRAME.size,)
    assert fed == ([("run", (3, *size))] if form == "sequence" else [("step", size)] * 3)
    assert found["peak"] > 0 or sys.platform != "linux"
