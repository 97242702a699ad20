"""Interleaving, fairness between candidates, and slow ones found slow."""

import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseq.bench.candidate import Candidate, fixed
from edgeseq.bench.latency import HotSettings, measure_hot, pinned, turns
from edgeseq.bench.warmup import BLOCK, FEWEST
from edgeseq.errors import UsageError

WARM = BLOCK * FEWEST
"""Steps of a session whose steps are steady from the start."""

FRAMES = np.arange(12, dtype=np.float32).reshape(6, 2)


class FakeClock:
    """A clock that moves only when told, or by `tick` at every reading."""

    def __init__(self, tick=0):
        self.now_ns, self.tick = 0, tick

    def __call__(self):
        self.now_ns += self.tick
        return self.now_ns


def taking(clock, nanoseconds):
    """Return a step that takes this long on `clock`."""

    def step(frame):
        clock.now_ns += nanoseconds
        return frame

    return step


@given(
    st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=6, unique=True),
    st.integers(1, 30),
    st.integers(0, 2**32),
)
def test_every_round_has_every_candidate_once(names, rounds, seed):
    order = list(turns(names, rounds, seed))
    assert len(order) == rounds
    assert all(sorted(turn) == sorted(names) for turn in order)
    assert order == list(turns(names, rounds, seed))


def test_no_candidate_is_always_first():
    first = [turn[0] for turn in turns("abc", 3000, seed=0)]
    for name in "abc":
        assert 900 < first.count(name) < 1100


def test_exact_times_of_a_fake_clock():
    clock = FakeClock(tick=10)
    settings = HotSettings(rounds=5, block=20, settle=2)
    result = measure_hot(
        [fixed("a", taking(clock, 1000), FRAMES), fixed("b", taking(clock, 1500), FRAMES)],
        settings,
        clock=clock,
    )
    assert result.latencies["a"].count == result.latencies["b"].count == 100
    assert result.latencies["a"].p50_us == pytest.approx(1.010)
    assert result.latencies["b"].p999_us == pytest.approx(1.510)
    assert result.harness.p50_us == pytest.approx(0.010), "the clock's own cost, reported"
    (ratio,) = result.ratios
    assert (ratio.candidate, ratio.reference, ratio.rounds, ratio.sessions) == ("b", "a", 5, 3)
    assert ratio.ratio == pytest.approx(1510 / 1010, abs=1e-4)
    assert result.ratio("a", "b").ratio == pytest.approx(1010 / 1510, abs=1e-4)
    assert result.warmups["a"].first_us == pytest.approx(1.010)


def test_warmup_and_settling_are_not_timed():
    clock = FakeClock()
    calls = []

    def step(frame):
        # the first steps ever, and the first two after a turn of the other, are slow
        timed = len(calls) - WARM
        calls.append(float(frame[0]))
        clock.now_ns += 1_000_000 if timed < 0 or timed % 12 < 2 else 100

    settings = HotSettings(rounds=4, block=10, reopen=4, settle=2)
    result = measure_hot([fixed("a", step, FRAMES)], settings, clock=clock)
    assert result.latencies["a"].max_us == pytest.approx(0.1)
    assert len(calls) == WARM + 4 * 12


def test_frames_follow_each_other_without_a_gap():
    seen = []
    settings = HotSettings(rounds=3, block=4, settle=1)
    result = measure_hot([fixed("a", lambda frame: seen.append(frame.copy()), FRAMES)], settings)
    assert len(seen) == 2 * result.warmups["a"].discarded + 3 * 5
    for index, frame in enumerate(seen):
        np.testing.assert_array_equal(frame, FRAMES[index % 6])


def test_candidates_do_not_share_their_place_in_the_stream():
    seen = {"a": [], "b": []}
    candidates = [
        fixed(name, lambda frame, name=name: seen[name].append(frame[0]), FRAMES) for name in seen
    ]
    measure_hot(candidates, HotSettings(rounds=3, block=4, settle=1))
    for places in seen.values():
        assert places == [FRAMES[index % 6, 0] for index in range(len(places))]


def test_candidates_have_streams_of_their_own():
    seen = {"a": set(), "b": set()}
    streams = {"a": FRAMES, "b": FRAMES[:, :1] + 100}
    candidates = [
        fixed(name, lambda frame, name=name: seen[name].add(tuple(frame)), streams[name])
        for name in seen
    ]
    measure_hot(candidates, HotSettings(rounds=1, block=6))
    assert seen == {name: set(map(tuple, stream)) for name, stream in streams.items()}


class Session:
    """Every other session of a name is a tenth slower, by chance."""

    def __init__(self, clock, opened):
        self.clock = clock
        opened.append(self)
        self.takes = 1100 if len(opened) % 2 else 1000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.takes = None

    def step(self, frame):
        self.clock.now_ns += self.takes


def test_sessions_are_opened_afresh_and_their_chance_is_in_the_interval():
    clock, opened = FakeClock(), []
    candidates = [
        fixed("a", taking(clock, 1050), FRAMES),
        Candidate("b", lambda: Session(clock, opened), FRAMES),
    ]
    settings = HotSettings(rounds=40, block=5, reopen=2)
    (ratio,) = measure_hot(candidates, settings, clock=clock).ratios
    assert len(opened) == 20
    assert (ratio.sessions, ratio.rounds) == (20, 40)
    assert ratio.low < 1 < ratio.high
    assert ratio.high - ratio.low > 0.05, "rounds of one session agree to the nanosecond"


def test_a_slow_candidate_is_found_slower():
    def spin(seconds):
        def step(frame):
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                pass

        return step

    settings = HotSettings(rounds=20, block=20, settle=2)
    result = measure_hot(
        [fixed("base", spin(20e-6), FRAMES), fixed("slow", spin(30e-6), FRAMES)], settings
    )
    (ratio,) = result.ratios
    assert ratio.low > 1.1, "50 % slower, and the interval leaves no doubt"
    assert result.latencies["slow"].p50_us > result.latencies["base"].p50_us
    assert result.latencies["base"].min_us >= 20


def test_progress_counts_rounds():
    seen = []
    measure_hot(
        [fixed("a", lambda frame: frame, FRAMES)],
        HotSettings(rounds=3, block=1, settle=0),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"block": 0}, {"reopen": 0}, {"settle": -1}])
def test_settings_that_time_nothing_are_refused(wrong):
    with pytest.raises(UsageError, match="at least"):
        HotSettings(**wrong)


def test_two_of_one_name_are_refused():
    twin = fixed("a", lambda frame: frame, FRAMES)
    with pytest.raises(UsageError, match="same name"):
        measure_hot([twin, twin])


needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="cores can be chosen on Linux only"
)


@needs_affinity
def test_pinning_is_undone():
    before = os.sched_getaffinity(0)
    core = min(before)
    with pinned(core):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


@needs_affinity
def test_pinning_is_undone_after_an_error():
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), pinned(min(before)):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


@needs_affinity
def test_a_core_that_is_not_ours_is_refused():
    with pytest.raises(UsageError, match="cannot pin to core 4096; this process may use: "):
        pinned(4096).__enter__()


def test_pinning_where_it_is_impossible(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with pytest.raises(UsageError, match="Linux only"):
        pinned(0).__enter__()
    with pinned(None):
        pass
