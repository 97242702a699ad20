"""Promises: pass, fail, or honestly not checked."""

from pathlib import Path

import numpy as np
import pytest

from edgeseq.budget import Measured, judge, judge_bundle, require_promises, share_bounds
from edgeseq.bundle import load_bundle
from edgeseq.devices import Budget, DeviceProfile, Fact
from edgeseq.errors import PromiseError

FACTS = (Fact("t.", "https://x"),)
GOOD = Measured("fp32", np.full(400, 1.0), 50.0, 100.0, 4.0, frozenset({"LSTM"}))


def profile(**budget):
    return DeviceProfile("box", "s", "estimated", FACTS, budget=Budget(**budget))


@pytest.mark.parametrize(
    ("promise", "limit", "on_device", "verdict"),
    [
        ("step_p99_ms", 1.5, True, "pass"),
        ("step_p99_ms", 1.0, True, "pass"),  # the limit itself is kept
        ("step_p99_ms", 0.999, True, "fail"),
        ("step_p99_ms", 1.5, False, "not checked"),
        ("step_p99_ms", 0.1, False, "not checked"),  # not even a failure elsewhere
        ("peak_rss_mib", 60.0, True, "pass"),
        ("peak_rss_mib", 40.0, True, "fail"),
        ("peak_rss_mib", 60.0, False, "not checked"),
        ("model_kib", 100.0, True, "pass"),
        ("model_kib", 99.9, True, "fail"),
        ("model_kib", 100.0, False, "pass"),
        ("model_kib", 99.9, False, "fail"),
        ("state_kib", 4.0, False, "pass"),
        ("state_kib", 3.0, False, "fail"),
        ("forbidden_operators", ("GRU",), False, "pass"),
        ("forbidden_operators", ("GRU", "LSTM"), False, "fail"),
        ("forbidden_operators", ("LSTM",), True, "fail"),
    ],
)
def test_verdict(promise, limit, on_device, verdict):
    (found,) = judge(
        profile(**{promise: limit}), GOOD, elsewhere=None if on_device else "this machine is no box"
    )
    assert (found.variant, found.promise, found.verdict) == ("fp32", promise, verdict)
    if verdict == "not checked":
        assert found.reason == "this machine is no box"


@pytest.mark.parametrize("promise", ["step_p99_ms", "peak_rss_mib", "model_kib", "state_kib"])
def test_what_was_not_measured_is_never_passed(promise):
    nothing = Measured("fp32", None, None, None, None, None)
    (found,) = judge(profile(**{promise: 1.0}), nothing, elsewhere=None)
    assert found.verdict == "not checked"
    assert found.measured is None
    assert found.reason == "not measured on this system"


def test_unknown_operators_are_never_passed():
    nothing = Measured("fp32", None, None, None, None, None)
    (found,) = judge(profile(forbidden_operators=("GRU",)), nothing, elsewhere=None)
    assert (found.verdict, found.measured) == ("not checked", None)


def test_numbers_and_reasons():
    limits = profile(step_p99_ms=0.5, model_kib=200, forbidden_operators=("LSTM", "GRU"))
    slow, size, operators = judge(limits, GOOD, elsewhere=None)
    assert (slow.limit, slow.measured) == ("0.5 ms", 1.0)
    assert slow.reason == (
        "400 of 400 steps took more than 0.5 ms: 99 to 1e+02 % of all (95 %), 1 % may"
    )
    assert size.reason == "100 KiB is within 200 KiB"
    assert operators.limit == "none of GRU, LSTM"
    assert operators.reason == "uses LSTM"


def test_no_promises_no_verdicts():
    assert judge(profile(), GOOD, elsewhere=None) == ()


def test_a_bundle_is_judged_without_running_it():
    bundle = load_bundle(Path(__file__).parent / "golden" / "har-lstm")
    kib = bundle.variant("int8").bytes / 1024
    tight = profile(
        step_p99_ms=1.0, model_kib=kib - 0.01, state_kib=0.375,
        forbidden_operators=("DynamicQuantizeLSTM",),
    )  # fmt: skip
    found = {item.promise: item for item in judge_bundle(tight, bundle, ("int8",))}
    assert {name: item.verdict for name, item in found.items()} == {
        "step_p99_ms": "not checked", "model_kib": "fail", "state_kib": "pass",
        "forbidden_operators": "fail",
    }  # fmt: skip
    assert "edgeseq bench --device box" in found["step_p99_ms"].reason


def of_slow(slow, total):
    """Judge a p99 limit of 2 ms on `total` steps, `slow` of them longer."""
    steps = np.full(total, 1.0)
    steps[:slow] = 3.0
    measured = Measured("fp32", steps, None, None, None, None)
    (found,) = judge(profile(step_p99_ms=2.0), measured, elsewhere=None)
    return found


@pytest.mark.parametrize(
    ("slow", "total", "verdict"),
    [
        (0, 100, "not checked"),  # a hundred steps cannot know their 99th percentile
        (0, 267, "not checked"),
        (0, 268, "pass"),
        (1, 100, "not checked"),
        (4, 100, "fail"),
        (10, 10_000, "pass"),
        (100, 10_000, "not checked"),  # exactly at the limit, nobody can say
        (130, 10_000, "fail"),
    ],
)
def test_few_steps_cannot_know_a_99th_percentile(slow, total, verdict):
    found = of_slow(slow, total)
    assert found.verdict == verdict, found.reason
    assert ("measure longer" in found.reason) == (verdict == "not checked")


def test_a_wrong_verdict_is_as_rare_as_it_says():
    """At a true share of exactly 1 %, pass and fail are wrong alike: each in 5 % of runs."""
    rng = np.random.default_rng(0)
    words = [of_slow(int(count), 2000).verdict for count in rng.binomial(2000, 0.01, 2000)]
    assert words.count("pass") / 2000 < 0.07
    assert words.count("fail") / 2000 < 0.07
    assert words.count("not checked") / 2000 > 0.85


def test_share_bounds_against_known_values():
    """Wilson (1927), z = 1.96: 0 of 10 has the upper bound 0.2775, 5 of 10 is 0.2366 to 0.7634."""
    assert share_bounds(0, 10, z=1.96)[1] == pytest.approx(0.2775, abs=1e-4)
    assert share_bounds(5, 10, z=1.96) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert share_bounds(0, 10)[0] == 0
    assert share_bounds(10, 10)[1] == 1


def test_promises_that_fail_are_named():
    verdicts = judge(profile(step_p99_ms=2.0, model_kib=50), GOOD, elsewhere="no box")
    with pytest.raises(PromiseError, match=r"1 promise\(s\) of box broke: fp32 model_kib: .*Do x"):
        require_promises(verdicts, where="box", next_step="Do x")
    with pytest.raises(PromiseError, match=r"2 promise\(s\) .*fp32 step_p99_ms: no box"):
        require_promises(verdicts, strict=True, where="box", next_step="Do x")
    require_promises(verdicts[:1], where="box", next_step="Do x")
