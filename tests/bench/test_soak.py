"""Soaks: every kind of ageing is found, the machine's moods are not, and what is short says so."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from bench.leak import Leak

from edgeseq.bench.pace import Clock
from edgeseq.bench.results import Subject
from edgeseq.bench.soak import SoakResult, judged, soak, soaked_variant
from edgeseq.bench.soaked import Instruments, Soaked, taken
from edgeseq.bench.soaking import SoakSettings, measure_soak
from edgeseq.bench.trends import MEMORY, judge, trend
from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError, PromiseError, UsageError

FRAMES = np.sin(np.arange(96.0, dtype=np.float32)).reshape(96, 1)
STEPS = 40_000
GOLDEN = Path(__file__).parents[1] / "golden"


class FakeMachine:
    """A clock that moves with the steps, in fast and slow phases, and noise within them."""

    def __init__(self, seed=0, phase=0.3, noise=0.02):
        self.now_ns = 0
        self._rng = np.random.default_rng(seed)
        self._phase, self._noise = phase, noise
        self._until, self._speed = 0, 1.0
        self._jitter = iter(())

    def __call__(self):
        return self.now_ns

    def spend(self, nanoseconds):
        if self.now_ns >= self._until:
            self._until = self.now_ns + int(self._rng.exponential(3e8))
            self._speed = 1 + self._phase * self._rng.random()
        jitter = next(self._jitter, None)
        if jitter is None:
            self._jitter = iter(self._rng.standard_normal(1000).tolist())
            jitter = next(self._jitter)
        self.now_ns += int(nanoseconds * self._speed * (1 + self._noise * abs(jitter)))

    def sleep(self, seconds):
        self.now_ns += round(seconds * 1e9)

    def instruments(self, memory=lambda: 0):
        return Instruments(Clock(self, self.sleep), memory)


class Model:
    """A contractive stream; `fault` spoils it with the number of its steps since it was opened."""

    def __init__(self, machine, fault=None):
        self.machine, self.fault = machine, fault or Fault()
        self.steps = self.since_reset = 0
        self.reset()

    def reset(self):
        self.h, self.since_reset = 0.0, 0

    @property
    def state(self):
        return {"h": np.array([self.h]), "counter": np.array([self.fault.count(self.since_reset)])}

    def step(self, frame):
        self.steps += 1
        self.since_reset += 1
        self.machine.spend(self.fault.takes(self.steps))
        self.fault.leak()
        self.h = self.fault.state(0.8 * self.h + float(frame[0]), self.steps)
        return np.array([self.h + self.fault.drift(self.since_reset)], np.float32)


class Fault:
    """None at all."""

    def takes(self, steps):
        return 100_000

    def leak(self):
        pass

    def state(self, value, steps):
        return value

    def drift(self, steps):
        return 0.0

    def count(self, steps):
        return 7


class Slowing(Fault):
    def takes(self, steps):
        return 100_000 * (1 + 0.2 * steps / STEPS)


class Drifting(Fault):
    def drift(self, steps):
        return 1e-4 * steps / 1000  # the outputs' RMS is about 1


class Poisoned(Fault):
    def state(self, value, steps):
        return np.nan if steps > STEPS // 2 else value


class Counting(Fault):
    def count(self, steps):
        return steps


class Leaking(Fault):
    def __init__(self):
        self.leak = Leak()


def run(fault=None, *, machine=None, memory=None, settings=None, frames=FRAMES):
    """Soak a model and return its verdicts by what they are about, and its series."""
    machine = machine or FakeMachine()
    instruments = machine.instruments(memory or (lambda: 0))

    @contextmanager
    def opened():
        yield Model(machine, fault)

    settings = settings or SoakSettings(steps=STEPS)
    found = measure_soak([Soaked("model", opened, frames)], settings, instruments=instruments)
    (stream,) = found.streams
    result = soaked_variant(SUBJECT, stream, found.seconds, settings, 2e-6)
    words = {item.promise.removeprefix("no slope of "): item for item in judged(result)}
    return words, result


SUBJECT = Subject(
    "model", "bundle", "fp32", "", "made up", "none", 0, "fp32", "cpu", SessionSettings(), 0.0, 0.0,
    None,
)  # fmt: skip


def words(verdicts):
    return {about: item.verdict for about, item in verdicts.items()}


FLAT = dict.fromkeys(("all finite", "latency", "memory", "drift", "state"), "pass")


def test_what_does_not_age_passes():
    verdicts, result = run()
    assert words(verdicts) == FLAT
    assert result.forgets
    assert result.aligned
    assert result.run_in == 128, "64 frames of a state that keeps 0.8 of itself, twice"
    assert result.at_steps[-1] == pytest.approx(STEPS, abs=len(FRAMES))
    assert len(result.at_steps) == 40
    assert result.control_share < 0.5


@pytest.mark.parametrize(
    ("fault", "found"), [(Slowing, "latency"), (Drifting, "drift"), (Counting, "state")]
)
def test_each_fault_is_found_and_no_other(fault, found):
    verdicts, _ = run(fault())
    assert words(verdicts) == FLAT | {found: "fail"}, verdicts


def test_the_slope_is_the_one_that_was_put_in():
    _, result = run(Slowing())
    latency = result.trends[0]
    # The control takes the same path with fewer steps, so a share of the 20 % is not seen.
    assert latency.change == pytest.approx(0.2 * (1 - result.control_share), abs=0.04)
    assert latency.per_million_steps == pytest.approx(latency.change / result.at_steps[-1] * 1e6)
    assert latency.per_hour == pytest.approx(latency.change / result.seconds * 3600, rel=0.02)
    _, result = run(Drifting())
    drift = result.trends[2]
    assert drift.per_million_steps == pytest.approx(0.1, rel=0.01)


def test_slow_phases_are_not_in_the_ratio():
    """A machine that gets slower all the while: the plain latency ages, the ratio does not."""

    class Tiring(FakeMachine):
        def spend(self, nanoseconds):
            super().spend(nanoseconds * (1 + self.now_ns / 6e9))

    verdicts, result = run(machine=Tiring())
    assert verdicts["latency"].verdict == "pass"
    assert result.plain.change_low > 50, "µs of a step that takes 100"


def test_a_leak_of_a_kibibyte_a_step_is_found():
    """Real memory, as Linux tells it."""
    if taken() is None:
        pytest.skip("this system does not tell a process's memory")
    verdicts, result = run(Leaking(), memory=taken, settings=SoakSettings(steps=20_000))
    assert verdicts["memory"].verdict == "fail"
    # The control leaks as well, in the same turns.
    kib_a_step = result.trends[1].per_million_steps / 1e6
    assert kib_a_step == pytest.approx(1 + result.control_share, rel=0.1)


def test_memory_between_turns_is_not_the_streams():
    """Every reading of the fake memory is followed by a mebibyte of somebody else's."""
    state = {"bytes": 0, "readings": 0}

    def memory():
        state["readings"] += 1
        state["bytes"] += 2**20 if state["readings"] % 2 else 0
        return state["bytes"]

    verdicts, result = run(memory=memory)
    assert verdicts["memory"].verdict == "pass"
    assert set(result.trends[1].values) == {0.0}


def test_memory_that_nobody_tells_is_not_checked():
    verdicts, result = run(memory=lambda: None)
    assert words(verdicts) == FLAT | {"memory": "not checked"}
    assert "does not tell" in verdicts["memory"].reason
    assert result.trends[1].values == ()


def test_a_state_that_is_not_finite_ends_it_at_once():
    verdicts, result = run(Poisoned())
    assert verdicts["all finite"].verdict == "fail"
    assert "state h is not finite after" in verdicts["all finite"].reason
    assert STEPS * 0.4 < result.at_steps[-1] <= STEPS // 2
    assert np.isfinite(result.trends[2].values).all()


def test_a_model_that_never_forgets_has_a_level_and_no_slope():
    class Latched(Fault):
        def drift(self, steps):
            return 0.1 if steps > 500 else 0.0

    verdicts, result = run(Latched())
    assert not result.forgets
    assert result.run_in == STEPS // 40 // 4, "no more than a quarter of a window"
    assert result.trends[2].values[-1] == pytest.approx(0.1, rel=0.01)
    assert verdicts["drift"].verdict == "pass"


def test_frames_that_rise_are_no_ageing():
    """Fewer steps than the stream has frames: a state that follows them grows, and may."""
    rising = np.linspace(1, 50, 100_000, dtype=np.float32).reshape(-1, 1)
    verdicts, result = run(frames=rising)
    assert not result.aligned
    assert words(verdicts) == FLAT


def test_a_ring_that_windows_see_rise_slowly_is_no_counter():
    class Ring(Fault):
        def count(self, steps):
            return 166 + steps % 331  # a window of 1,000 steps comes back 7 further on

    verdicts, result = run(Ring(), frames=np.resize(FRAMES, (100_000, 1)))
    values = result.trends[3].values
    assert max(values) - min(values) > 0.5
    assert words(verdicts) == FLAT


def test_what_never_forgets_needs_windows_of_the_same_frames():
    class Latched(Fault):
        def drift(self, steps):
            return 0.1 if steps > 500 else 0.0

    long = np.resize(FRAMES, (100_000, 1))
    verdicts, result = run(Latched(), frames=long)
    assert (result.forgets, result.aligned) == (False, False)
    assert verdicts["drift"].verdict == "not checked"
    assert "too short to compare the same ones" in verdicts["drift"].reason


@pytest.mark.parametrize("soaks", [5, pytest.param(25, marks=pytest.mark.slow)])
def test_false_alarms(soaks):
    """Slow phases, noise and memory that jumps: at most 5 % of soaks may cry wolf."""
    alarms, decided, plain = 0, 0, 0
    for seed in range(soaks):
        rng = np.random.default_rng(seed)
        jumps = iter(np.cumsum(rng.choice([0, 4096, -4096], 10_000)).tolist())
        verdicts, result = run(
            machine=FakeMachine(seed, phase=0.5, noise=0.05),
            memory=lambda jumps=jumps: next(jumps),
            settings=SoakSettings(steps=STEPS, seed=seed),
        )
        alarms += any(item.verdict == "fail" for item in verdicts.values())
        decided += verdicts["latency"].verdict == "pass"
        plain += judge("plain", result.plain).verdict == "pass"
    assert alarms <= soaks / 20
    assert decided >= 0.88 * soaks, "and not because nothing is ever decided"
    assert plain <= soaks / 4, "without the control hardly any could be"


def line(slope, *, noise=0.0, count=40):
    """Return the trend of memory that changes by `slope` KiB over the soak."""
    steps = np.linspace(1000, 40_000, count)
    values = slope * steps / steps[-1] + noise * np.random.default_rng(0).standard_normal(count)
    return trend("memory", steps, 10.0, values, MEMORY, confidence=0.99)


@pytest.mark.parametrize(
    ("slope", "noise", "word"),
    [
        (0.0, 0.0, "pass"),
        (255.9, 0.0, "pass"),  # as sure as can be, and nothing
        (256.1, 0.0, "fail"),
        (-256.1, 0.0, "fail"),
        (0.0, 100.0, "pass"),
        (500.0, 30.0, "fail"),
        (0.0, 3000.0, "not checked"),
        (900.0, 900.0, "not checked"),
    ],
)
def test_three_words(slope, noise, word):
    verdict = judge("model", line(slope, noise=noise))
    assert verdict.verdict == word, verdict.reason
    assert ("could hide" in verdict.reason) == (word == "not checked")


@pytest.mark.parametrize(("kib", "word"), [(300, "pass"), (5000, "not checked")])
@pytest.mark.parametrize("start", [2, 14, 27])
def test_a_pool_that_fills_is_no_leak(kib, word, start):
    values = np.interp(np.arange(40), [start, start + 11], [0, kib])
    steps = np.linspace(1000, 40_000, 40)
    found = trend("memory", steps, 10.0, values, MEMORY, confidence=0.99)
    verdict = judge("model", found)
    assert verdict.verdict == word, verdict.reason
    leak = trend("memory", steps, 10.0, np.arange(40) // 8 * kib / 5, MEMORY, confidence=0.99)
    assert judge("model", leak).verdict == "fail", "stairs go on"


def test_few_windows_are_not_judged():
    found = line(1e6, count=19)
    assert found.slope is None
    assert judge("model", found).verdict == "not checked"
    assert judge("model", found).reason == "19 windows; 20 are needed"
    assert judge("model", line(1e6, count=20)).verdict == "fail"


def test_two_streams_take_turns_and_leak_apart():
    machine, kept = FakeMachine(), []

    class Leak(Fault):
        def leak(self):
            kept.append(1024)

    def opened(fault):
        return contextmanager(lambda: iter([Model(machine, fault)]))

    found = measure_soak(
        [Soaked("good", opened(Fault()), FRAMES), Soaked("bad", opened(Leak()), FRAMES)],
        SoakSettings(steps=STEPS),
        instruments=machine.instruments(lambda: sum(kept)),
    )
    good, bad = (stream.windows.memory_kib[:40] for stream in found.streams)
    assert not good.any()
    assert bad[-1] == pytest.approx(STEPS, rel=0.6), "a KiB for each step, and the control's"


class StopsAt(Fault):
    """Somebody presses ctrl-C at a step."""

    def __init__(self, step):
        self.step = step

    def takes(self, steps):
        if steps == self.step:
            raise KeyboardInterrupt
        return 100_000


def test_an_interrupt_leaves_what_was_measured():
    verdicts, result = run(StopsAt(STEPS * 3 // 4))
    assert 20 < len(result.at_steps) < 30
    assert words(verdicts) == FLAT
    with pytest.raises(KeyboardInterrupt):
        run(StopsAt(5000 // 4))
    verdicts, result = run(StopsAt(STEPS // 4))
    assert words(verdicts) == dict.fromkeys(FLAT, "not checked") | {"all finite": "pass"}


def test_a_time_ends_it():
    _, result = run(settings=SoakSettings(seconds=10.0))
    assert result.seconds == pytest.approx(10.0, abs=0.5)
    assert len(result.at_steps) == 40
    slow = FakeMachine()
    real = slow.spend
    slow.spend = lambda nanoseconds: real(nanoseconds * 100)
    _, result = run(machine=slow, settings=SoakSettings(seconds=40.0))
    assert len(result.at_steps) < 40, "a model too slow for its windows has fewer of them"
    assert result.seconds < 60


def test_paced_steps_keep_the_rate():
    settings = SoakSettings(steps=4000, rate_hz=100.0)
    _, result = run(settings=settings)
    assert settings.pairs.block == 1
    assert result.seconds == pytest.approx(40.0, rel=0.1)
    assert result.steps == pytest.approx(4000, abs=len(FRAMES))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "--soak 1e6 or --soak 1h"),
        ({"steps": 1, "seconds": 1.0}, "--soak 1e6 or --soak 1h"),
        ({"steps": 1000}, "Soak at least 17,600 steps"),
        ({"seconds": 10.0, "rate_hz": 10.0}, "100 steps are too few"),
        ({"steps": 10**6, "rate_hz": 0.0}, "must be above 0"),
    ],
)
def test_soaks_that_make_no_sense(wrong, said):
    with pytest.raises(UsageError, match=said):
        SoakSettings(**wrong)


@pytest.mark.parametrize(
    ("settings", "windows"),
    [
        (SoakSettings(steps=10**5), 40),
        (SoakSettings(steps=10**6), 40),
        (SoakSettings(steps=2 * 10**6), 80),
        (SoakSettings(steps=10**8), 160),
        (SoakSettings(seconds=120), 40),
        (SoakSettings(seconds=1800), 120),
        (SoakSettings(seconds=3600, rate_hz=12.5), 40),
        (SoakSettings(seconds=3600, rate_hz=100.0), 144),
    ],
)
def test_long_soaks_have_more_windows(settings, windows):
    assert settings.windows == windows


def test_the_harness_takes_no_memory_and_the_result_is_kept(bundle, tmp_path):
    """Real sessions, real memory; time is not judged here."""
    seen = []
    result = soak(
        bundle.path,
        settings=SoakSettings(steps=100_000),
        variants=("fp32", "int8"),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (80, 80)
    told = {(item.variant, item.promise): item.verdict for item in result.budget}
    for name in ("fp32", "int8"):
        for about in ("no slope of memory", "no slope of drift", "no slope of state"):
            assert told[name, about] == "pass", result.budget
    result.save(tmp_path / "soak.json")
    assert SoakResult.load(tmp_path / "soak.json") == result
    with pytest.raises(EdgeseqError, match="--soak"):
        SoakResult.from_json(result.to_json() | {"schema": 0}, where="old.json")


@pytest.mark.parametrize(
    "name", ["har-lstm", pytest.param("glucose-transformer", marks=pytest.mark.slow)]
)
def test_golden_models_agree_with_a_control_that_is_fresh(name):
    result = soak(GOLDEN / name, settings=SoakSettings(steps=24_000))
    told = {item.promise: item for item in result.budget}
    assert told["all finite"].verdict == "pass"
    for about in ("drift", "state"):
        assert told[f"no slope of {about}"].verdict == "pass", told
    (variant,) = result.variants
    assert max(variant.trends[2].values) < 1e-6


def test_a_broken_promise_is_exit_3(bundle):
    result = soak(bundle, settings=SoakSettings(steps=17_600))
    broken = SoakResult(**{**vars(result), "budget": (judge("model", line(500.0)),)})
    with pytest.raises(PromiseError, match="model no slope of memory: \\+500 KiB") as caught:
        broken.require_promises()
    assert caught.value.exit_code == 3
    unsure = SoakResult(**{**vars(result), "budget": (judge("model", line(0, noise=3000)),)})
    unsure.require_promises()
    with pytest.raises(PromiseError, match="could hide"):
        unsure.require_promises(strict=True)
