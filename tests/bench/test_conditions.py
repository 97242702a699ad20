"""Conditions: what the system tells is read right, what it does not tell is none."""

import pytest

from edgeseq.bench import conditions
from edgeseq.bench.conditions import Watch, clock

BEFORE = "cpu  1000 0 500 8000 100 0 50 350 0 0\ncpu0 1 2 3\n"
AFTER = "cpu  1100 0 550 8700 100 0 50 500 0 0\ncpu0 1 2 3\n"


@pytest.fixture
def stat(tmp_path, monkeypatch):
    file = tmp_path / "stat"
    monkeypatch.setattr(conditions, "STAT", file)
    return file


def test_stolen_time_is_a_share_of_all_cores(stat):
    stat.write_text(BEFORE)
    watch = Watch()
    stat.write_text(AFTER)
    assert watch.read(None).stolen == pytest.approx(150 / 1000)


@pytest.mark.parametrize("text", ["cpu  1 2 3 4\n", ""])
def test_a_system_without_stolen_time(stat, text):
    stat.write_text(text)
    assert Watch().read(None).stolen is None


def test_a_system_without_such_a_file(stat):
    assert Watch().read(None).stolen is None


def test_no_ticks_between_two_readings(stat):
    stat.write_text(BEFORE)
    assert Watch().read(None).stolen == 0


def test_this_machine():
    found = Watch().read(pinned_to=1)
    assert found.pinned_to == 1
    assert 0 <= found.seconds < 60
    assert found.preempted is None or found.preempted >= 0


def test_the_clock_itself():
    resolution, overhead = clock()
    assert 1 <= resolution < 1_000_000
    assert 0 <= overhead < 100_000
