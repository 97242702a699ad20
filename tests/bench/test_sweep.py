"""A sweep from bundle to manifest: what is compared, what is refused, and what is written."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgeseq.bench import sweep as module
from edgeseq.bench import sweeping
from edgeseq.bench.candidate import Candidate
from edgeseq.bench.choose import CURRENT
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.pace import PaceSettings
from edgeseq.bench.stats import Ratio
from edgeseq.bench.subjects import ONNXRUNTIME, targets
from edgeseq.bench.sweep import SweepResult, graph_levels, sweep, write_session
from edgeseq.bench.sweeping import BEFORE, BY_NAME, DEFAULTS, Measured, SweepSettings, by_name
from edgeseq.bundle import load_bundle
from edgeseq.contract import SessionSettings
from edgeseq.errors import BundleError, EdgeseqError
from edgeseq.graph.census import take_census

GOLDEN = Path(__file__).parents[1] / "golden"
QUICK = SweepSettings(
    HotSettings(rounds=2, block=5, settle=1), PaceSettings(500.0, seconds=0.02, segments=1)
)


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle.path, tmp_path / "copy")


class Clock:
    """Moves by what the session that steps is said to take."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def priced(monkeypatch):
    """Let each candidate take a given time, by its settings: `price(settings)` in nanoseconds."""
    clock, prices = Clock(), {}

    def candidate(target, name, settings):
        @contextmanager
        def opened():
            yield Timed(clock, prices["price"](settings))

        return Candidate(name, opened, target.candidate.frames)

    monkeypatch.setattr(sweeping, "_candidate", candidate)
    monkeypatch.setattr(sweeping, "by_name", lambda target, one: candidate(target, BY_NAME, one))
    monkeypatch.setattr(
        sweeping, "measure_hot", lambda *one, **more: measure_hot(*one, **more, clock=clock)
    )

    def use(price):
        prices["price"] = price

    return use


class Timed:
    def __init__(self, clock, takes):
        self.clock, self.takes = clock, takes

    def step(self, frame):
        self.clock.now += self.takes
        return frame


STEADY = SweepSettings(HotSettings(rounds=10, block=5, reopen=1, settle=1))
"""Sessions enough to decide."""


def pattern_is_bad(settings):
    return 1000 - 100 * (not settings.memory_pattern) + 50 * settings.arena


def test_the_best_goes_into_the_manifest_and_is_priced(copy, priced):
    priced(pattern_is_bad)
    before = json.loads((copy / "manifest.json").read_text())
    result = sweep(copy, "fp32", settings=STEADY)
    assert result.chosen == SessionSettings(memory_pattern=False)
    assert (result.written, result.settled, len(result.passes)) == (True, True, 2)
    assert [one.taken for one in result.passes] == [("memory_pattern=false",), ()]
    prices = {price.change: price.ratio.ratio for price in result.prices}
    assert prices["memory_pattern=true"] == prices[BEFORE] == pytest.approx(1000 / 900, abs=1e-3)
    assert prices["arena=true"] == pytest.approx(950 / 900, abs=1e-3)
    assert {DEFAULTS, BY_NAME, "prepacking=false"} <= set(prices)
    before["variants"]["fp32"]["session"]["memory_pattern"] = False
    assert json.loads((copy / "manifest.json").read_text()) == before, "and nothing else changed"
    assert SweepResult.from_json(result.to_json(), where="x") == result


@pytest.mark.parametrize("options", [{"write": False}, {"status": "emulated"}])
def test_what_must_not_write_does_not(copy, priced, options):
    priced(pattern_is_bad)
    before = (copy / "manifest.json").read_bytes()
    result = sweep(copy, "fp32", settings=STEADY, **options)
    assert not result.chosen.memory_pattern
    assert not result.written
    assert (copy / "manifest.json").read_bytes() == before


def test_nothing_better_leaves_the_manifest(copy, priced):
    priced(lambda settings: 1000)
    before = (copy / "manifest.json").read_bytes()
    result = sweep(copy, "fp32", settings=STEADY)
    assert (result.chosen, result.written, len(result.passes)) == (SessionSettings(), False, 1)
    assert (copy / "manifest.json").read_bytes() == before


def test_winners_that_do_not_go_together(copy, priced):
    """Each alone is faster, both at once are slower: the next pass undoes one."""

    def price(settings):
        flipped = (not settings.memory_pattern) + (not settings.prepacking)
        return {0: 1000, 1: 900 - 10 * settings.prepacking, 2: 1200}[flipped]

    priced(price)
    result = sweep(copy, "fp32", settings=STEADY)
    assert len(result.passes) == 3
    assert not result.settled, "both are given back at once, and the third pass would take again"
    assert result.chosen == SessionSettings()


def test_three_passes_of_noise_make_nothing_worse(copy, monkeypatch):
    """The first flip wins by luck; against the settings before, it loses."""
    calls = []

    def measured(target, current, first, tried, tolerance, settings, progress):
        calls.append(current)
        lucky = {"memory_pattern=false": (0.9, 0.95)} if len(calls) == 1 else {BEFORE: (0.9, 0.95)}

        class Hot:
            medians = {CURRENT: [], **{name: [] for name in lucky}}  # noqa: RUF012

            def ratio(self, name, reference):
                low, high = lucky.get(name, (1.05, 1.1))
                return Ratio(name, reference, 1.0, low, high, 0.95, 20, 10)

        return Measured(Hot(), {}, {})

    monkeypatch.setattr(module, "measure", measured)
    result = sweep(copy, "fp32", settings=QUICK)
    assert [one.memory_pattern for one in calls] == [True, False]
    assert result.chosen == SessionSettings()
    assert not result.written
    assert {price.ratio.reference for price in result.prices} == {BEFORE}


def test_a_real_sweep_of_a_model_that_does_nothing(copy):
    seen = []
    result = sweep(
        copy, "fp32", settings=QUICK, progress=lambda what, done, total: seen.append(what)
    )
    changes = {price.change for price in result.prices}
    assert {DEFAULTS, BY_NAME, "arena=true", "memory_pattern=false"} <= changes
    assert result.cpu_seconds_per_hour > 0
    assert result.excluded == {}
    assert seen[0] == "outputs, pass 1 of at most 3"
    assert load_bundle(copy).variant("fp32").session == result.chosen


def test_settings_that_change_the_outputs_are_not_timed(copy, monkeypatch):
    real = sweeping._candidate

    def candidate(target, name, settings):
        one = real(target, name, settings)
        if not settings.arena or settings == ONNXRUNTIME:
            return one

        @contextmanager
        def opened():
            with one.open() as stream:
                yield Shifted(stream)

        return Candidate(name, opened, one.frames)

    class Shifted:
        def __init__(self, stream):
            self.stream = stream

        def step(self, frame):
            return self.stream.step(frame) + np.float32(1e-4)

    monkeypatch.setattr(sweeping, "_candidate", candidate)
    result = sweep(copy, "fp32", settings=STEADY)
    assert list(result.excluded) == ["arena=true"]
    assert "changes the outputs" in result.excluded["arena=true"]
    assert "arena=true" not in {price.change for price in result.prices}


@pytest.mark.parametrize("family", ["lstm_bundle", "transformer_bundle"])
def test_by_name_is_the_same_stream(family, request):
    bundle = request.getfixturevalue(family)
    (target,) = targets([bundle], ("fp32",), (), provider="cpu", settings=None)
    with by_name(target, SessionSettings()).open() as plain, target.open() as bound:
        for frame in target.candidate.frames[:200]:
            np.testing.assert_array_equal(plain.step(frame), bound.step(frame))


def test_int8_without_onnx_keeps_to_levels_that_fuse(bundle, monkeypatch):
    assert graph_levels(bundle.file("fp32"), "fp32") == (("basic", "extended", "all"), {})
    monkeypatch.setattr(module, "available", lambda name: False)
    levels, excluded = graph_levels(bundle.file("int8"), "int8")
    assert levels == ("extended", "all")
    assert list(excluded) == ["graph_level=basic"]


def test_int8_with_onnx_is_looked_at(bundle, monkeypatch):
    shares = {"basic": 0.5, "extended": 1.0, "all": 1.0}

    class Census:
        def __init__(self, level):
            self.int8_weights = shares[level]

    monkeypatch.setattr(module, "take_census", lambda file, level: Census(level))
    levels, excluded = graph_levels(bundle.file("int8"), "int8")
    assert levels == ("extended", "all")
    assert excluded == {"graph_level=basic": "only 50% of the weights would run in integers"}


def test_the_census_sees_the_level():
    file = load_bundle(GOLDEN / "har-lstm").file("int8")
    fused, plain = take_census(file), take_census(file, "basic")
    assert "DynamicQuantizeMatMul" in fused.operators
    assert "MatMulInteger" in plain.operators
    assert "DynamicQuantizeMatMul" not in plain.operators
    assert graph_levels(file, "int8")[0] == ("basic", "extended", "all"), "slower, yet all in int8"


def test_writing_keeps_what_changed_meanwhile(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["preferred_because"] = "changed while it was measured"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    write_session(copy, "fp32", SessionSettings(arena=True))
    again = load_bundle(copy).manifest
    assert again.preferred_because == "changed while it was measured"
    assert again.variants["fp32"].session.arena
    assert not again.variants["sequence"].session.arena


def test_refusals(copy):
    with pytest.raises(BundleError, match='no variant "fp16"'):
        sweep(copy, "fp16", settings=QUICK)
    with pytest.raises(EdgeseqError, match="--sweep"):
        SweepResult.from_json({"schema": 0}, where="old.json")
