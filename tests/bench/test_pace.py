"""Pacing on a clock that only counts: deadlines, misses, CPU time, to the nanosecond."""

import numpy as np
import pytest

from edgeseq.bench.candidate import Candidate, fixed
from edgeseq.bench.pace import (
    Clock,
    Interrupted,
    PaceSettings,
    enough_frames,
    measure_paced,
    segments,
)
from edgeseq.errors import UsageError

FRAMES = np.arange(7, dtype=np.float32).reshape(7, 1)
MS = 1_000_000


class Fake:
    """Wall and CPU time that pass only when a step works or the loop sleeps."""

    def __init__(self, oversleep_ns=0):
        self.wall = self.cpu = 0
        self.joules = None
        self.oversleep_ns = oversleep_ns
        self.starts = []
        self.frames = []

    def sleep(self, seconds):
        self.wall += round(seconds * 1e9) + self.oversleep_ns

    def clock(self):
        return Clock(lambda: self.wall, self.sleep, lambda: self.cpu, lambda: self.joules)

    def step(self, *durations_ns):
        """Return a step whose calls take these times in turn."""

        def run(frame):
            self.starts.append(self.wall)
            self.frames.append(float(frame[0]))
            self.wall += durations_ns[(len(self.starts) - 1) % len(durations_ns)]
            self.cpu += durations_ns[(len(self.starts) - 1) % len(durations_ns)]

        return run


def run(fake, step, **settings):
    paced, harness = measure_paced(
        [fixed("a", step, FRAMES)], PaceSettings(100.0, **settings), clock=fake.clock()
    )
    return paced["a"], harness


def test_steps_start_on_absolute_deadlines():
    fake = Fake()
    paced, _ = run(fake, fake.step(2 * MS), seconds=1.0, segments=1, settle=0)
    assert paced.frames == 100
    assert np.all(np.diff(fake.starts) == 10 * MS)
    assert paced.step.p50_us == paced.step.max_us == 2000
    assert paced.late.max_us == 0
    assert paced.missed == 0


def test_waking_late_does_not_add_up():
    fake = Fake(oversleep_ns=70_000)
    paced, _ = run(fake, fake.step(2 * MS), seconds=10.0, segments=1, settle=0)
    assert paced.late.max_us == pytest.approx(70)
    assert fake.starts[-1] - fake.starts[0] == 999 * 10 * MS, "no drift in a thousand frames"
    assert paced.missed == 0


def test_an_early_wake_is_slept_again():
    fake = Fake(oversleep_ns=-1000)
    clock = Clock(
        now=lambda: fake.wall,
        sleep=lambda seconds: setattr(fake, "wall", fake.wall + max(1, round(seconds * 0.9e9))),
        cpu=lambda: fake.cpu,
    )
    measure_paced(
        [fixed("a", fake.step(MS), FRAMES)],
        PaceSettings(100.0, 0.5, 1, 0),
        clock=clock,
    )
    assert np.all(np.diff(fake.starts) == 10 * MS)


def test_misses_are_results_that_come_after_the_next_frame():
    fake = Fake()
    # Every tenth step takes 25 ms: itself late, and the two behind it wait.
    paced, _ = run(fake, fake.step(25 * MS, *[MS] * 9), seconds=1.0, segments=1, settle=0)
    assert paced.missed == 20, "the step itself and the first of the backlog"
    assert paced.step.max_us == 25_000
    assert paced.late.max_us == 15_000
    assert fake.starts[9] - fake.starts[0] == 90 * MS, "back on the deadlines after the backlog"


def test_exactly_on_the_deadline_is_in_time():
    fake = Fake()
    paced, _ = run(fake, fake.step(10 * MS), seconds=0.5, segments=1, settle=0)
    assert paced.missed == 0
    fake = Fake()
    paced, _ = run(fake, fake.step(10 * MS + 1), seconds=0.5, segments=1, settle=0)
    assert paced.missed == paced.frames == 50


@pytest.mark.parametrize(("busy_ms", "expected"), [(1, 360.0), (3, 1080.0)])
def test_cpu_seconds_per_hour(busy_ms, expected):
    fake = Fake()
    paced, harness = run(fake, fake.step(busy_ms * MS), seconds=2.0, segments=4, settle=3)
    assert paced.cpu_seconds_per_hour == pytest.approx(expected, rel=1e-3)
    assert harness.cpu_seconds_per_hour == 0


def test_settling_steps_do_not_count():
    fake = Fake()
    slow_start = [15 * MS] * 2 + [MS] * 12
    paced, _ = run(fake, fake.step(*slow_start), seconds=0.2, segments=2, settle=4)
    assert paced.frames == 20
    assert paced.step.max_us == 1000
    assert paced.cpu_seconds_per_hour == pytest.approx(360), "10 % of a core, the slow start apart"
    assert len(fake.starts) == 2 * 14


def test_candidates_alternate_and_keep_their_place():
    order, places = [], {"a": [], "b": []}

    def step(name):
        def run_it(frame):
            order.append(name)
            places[name].append(float(frame[0]))

        return run_it

    fake = Fake()
    paced, harness = measure_paced(
        [fixed("a", step("a"), FRAMES), fixed("b", step("b"), FRAMES)],
        PaceSettings(100.0, seconds=0.3, segments=3, settle=0),
        clock=fake.clock(),
    )
    assert "".join(order) == ("a" * 10 + "b" * 10) * 3
    assert places["a"] == places["b"] == [float(index % 7) for index in range(30)]
    assert set(paced) == {"a", "b"}
    assert harness.frames == 10


def test_progress_ends_complete():
    seen = []
    fake = Fake()
    measure_paced(
        [fixed("a", lambda frame: frame, FRAMES)],
        PaceSettings(100.0, seconds=0.1, segments=2),
        clock=fake.clock(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "wrong", [{"rate_hz": 0}, {"rate_hz": 10, "seconds": -1}, {"rate_hz": 10, "segments": 0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UsageError, match="above 0"):
        PaceSettings(**wrong)


def test_at_least_one_step():
    assert PaceSettings(rate_hz=0.1, seconds=1.0).steps == 1
    assert PaceSettings(rate_hz=50, seconds=5.0, segments=5).steps == 50


def test_real_clock_keeps_the_rate():
    paced, harness = measure_paced(
        [fixed("a", lambda frame: frame, FRAMES)], PaceSettings(200.0, seconds=0.2, segments=1)
    )
    assert paced["a"].frames == 40
    assert paced["a"].step.p50_us < 5000
    assert harness.rate_hz == 200


def test_jitter_is_about_results_not_wakes():
    fake = Fake()
    # Steps of 1 and 3 ms in turn: every result comes 2 ms early or late, every start is exact.
    paced, _ = run(fake, fake.step(MS, 3 * MS), seconds=1.0, segments=1, settle=0)
    assert paced.late.max_us == 0
    assert paced.jitter_p50_us == paced.jitter_p99_us == 2000
    fake = Fake()
    steady, _ = run(fake, fake.step(2 * MS), seconds=1.0, segments=1, settle=0)
    assert steady.jitter_p99_us == 0


def test_energy_where_it_is_counted():
    fake = Fake()
    fake.joules = 5.0

    def step(frame):
        fake.wall += MS
        fake.joules += 0.002

    paced, harness = run(fake, step, seconds=2.0, segments=2, settle=3)
    assert paced.joules_per_hour == pytest.approx(0.002 * 100 * 3600)
    assert harness.joules_per_hour == 0


def test_energy_where_it_is_not():
    fake = Fake()
    paced, harness = run(fake, fake.step(MS), seconds=0.5, segments=1, settle=0)
    assert paced.joules_per_hour is None
    assert harness.joules_per_hour is None


def test_every_segment_has_a_session_of_its_own():
    opened = []

    class Session:
        def __enter__(self):
            opened.append("open")
            return self

        def __exit__(self, *_):
            opened.append("closed")

        def step(self, frame):
            assert opened[-1] == "open"

    fake = Fake()
    measure_paced(
        [Candidate("a", Session, FRAMES), Candidate("b", Session, FRAMES)],
        PaceSettings(100.0, seconds=0.1, segments=3),
        clock=fake.clock(),
    )
    assert opened == ["open", "closed"] * 6


def test_ctrl_c_leaves_the_finished_segments():
    fake = Fake()
    steps = []

    def step(frame):
        steps.append(fake.wall)
        fake.wall += MS
        if len(steps) == 25:
            raise KeyboardInterrupt

    pair = [fixed("a", step, FRAMES), fixed("b", step, FRAMES)]
    settings = PaceSettings(100.0, seconds=0.5, segments=5, settle=0)
    with pytest.raises(Interrupted) as caught:
        measure_paced(pair, settings, clock=fake.clock())
    assert {name: paced.frames for name, paced in caught.value.paced.items()} == {"a": 10, "b": 10}
    assert caught.value.paced["a"].missed == 0


@pytest.mark.parametrize(("seconds", "turns"), [(0.2, 5), (5, 5), (60, 5), (600, 20), (3600, 120)])
def test_candidates_alternate_twice_a_minute(seconds, turns):
    assert segments(seconds) == turns


def test_enough_frames_for_a_99th_percentile():
    assert enough_frames(12.5) == 24
    assert enough_frames(100) == 5
