"""Two runs in multiples of their floors: intervals that cover, processes that count."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgeseq.bench.identity import identity_onnx
from edgeseq.bench.memory import Job
from edgeseq.bench.yardstick import change, main, measure_against_floor, summarise
from edgeseq.contract import SessionSettings


def test_mean_and_interval_by_hand():
    found = summarise([2.0, 8.0])  # logarithms 0.693 and 2.079; t of one degree is 12.706
    assert found.ratio == pytest.approx(4.0)
    assert found.high == pytest.approx(4.0 * math.exp(12.706 * math.log(2)), rel=1e-3)
    assert found.ratios == (2.0, 8.0)


def test_welch_against_a_known_value():
    """Logarithms 1, 2, 3 and 2, 4, 6, 8: variances of means 1/3 and 5/3, 4 degrees of freedom."""
    old, new = summarise(np.exp([1, 2, 3]).tolist()), summarise(np.exp([2, 4, 6, 8]).tolist())
    ratio, low, high = change(old, new)
    assert ratio == pytest.approx(math.exp(3), rel=1e-3)
    assert math.log(high) - 3 == pytest.approx(2.776 * math.sqrt(2), rel=1e-3)
    assert math.log(low) - 3 == pytest.approx(-2.776 * math.sqrt(2), rel=1e-3)


def test_the_interval_covers_the_truth():
    covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        old, new = (summarise(list(3.5 * rng.lognormal(0, s, 7))) for s in (0.01, 0.02))
        _, low, high = change(old, new)
        covered += low <= 1 <= high
    assert 368 <= covered <= 392  # 95 % of 400 is 380, and 3 deviations are 13


def test_the_same_numbers_have_no_width():
    same = summarise([3.5, 3.5])
    assert change(same, same) == (1.0, 1.0, 1.0)


@pytest.fixture
def job(tmp_path):
    (tmp_path / "identity.onnx").write_bytes(identity_onnx())
    return Job(tmp_path / "identity.onnx", None, "cpu", SessionSettings(), (0.5,), steps=0)


def test_what_does_nothing_is_the_floor(job):
    frames = np.zeros((8, 1), np.float32)
    seen = []
    (found,) = measure_against_floor(
        {"nothing": (job, frames)},
        processes=2,
        progress=lambda done, total: seen.append((done, total)),
    ).values()
    assert len(found.ratios) == 2
    assert 0.7 < found.ratio < 1.4
    assert seen == [(1, 2), (2, 2)]


def test_main_in_this_process(job):
    request = {"source": str(job.source), "provider": "cpu", "session": {}, "frames": [[1.0]]}
    assert 0.5 < main(request)["ratio"] < 2


def test_a_frame_of_many_numbers_fits_on_a_command_line(job, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        "edgeseq.bench.yardstick.run_fresh",
        lambda _program, _job, frames: asked.update(frames=frames) or {"ratio": 1.0},
    )
    measure_against_floor({"x": (replace(job), np.ones((50, 5000), np.float32))}, processes=2)
    assert np.shape(asked["frames"]) == (1, 5000)
