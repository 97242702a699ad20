"""Promises: pass, fail, or honestly not checked."""

import pytest

from edgeseq.bench.budget import Measured, judge
from edgeseq.devices import Budget, DeviceProfile, Fact

FACTS = (Fact("t.", "https://x"),)
GOOD = Measured("fp32", 1.0, 50.0, 100.0, 4.0, frozenset({"LSTM"}))


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
    assert slow.reason == "1 ms is more than 0.5 ms"
    assert size.reason == "100 KiB is within 200 KiB"
    assert operators.limit == "none of GRU, LSTM"
    assert operators.reason == "uses LSTM"


def test_no_promises_no_verdicts():
    assert judge(profile(), GOOD, elsewhere=None) == ()
