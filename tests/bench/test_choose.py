"""The rules of a sweep, at and around each threshold, on measurements that were made up."""

from dataclasses import replace

import pytest

from edgeseq.bench.choose import CURRENT, Flip, decide, flips, goes_back
from edgeseq.bench.stats import Ratio
from edgeseq.contract import SessionSettings

BASE = SessionSettings()
LEVELS = ("basic", "extended", "all")


def ratio(name, low, high):
    return Ratio(name, CURRENT, (low + high) / 2, low, high, 0.95, 40, 20)


def decided(measured, *, settings=BASE, cpu=None, cores=4):
    """Decide on flips of `settings` of which some have an interval, all others none."""
    tried = flips(settings, cores=cores, graph_levels=LEVELS)
    assert set(measured) <= {flip.name for flip in tried}
    ratios = {name: ratio(name, *ends) for name, ends in measured.items()}
    return decide(settings, tried, ratios, cpu or {})


def test_each_setting_is_flipped_alone():
    tried = flips(BASE, cores=4, graph_levels=LEVELS)
    assert [flip.name for flip in tried] == [
        "threads=2", "threads=4", "arena=true", "memory_pattern=false", "prepacking=false",
        "graph_level=basic", "graph_level=extended",
    ]  # fmt: skip
    for flip in tried:
        value = getattr(flip.settings, flip.field)
        assert flip.settings == replace(BASE, **{flip.field: value}) != BASE


def test_spinning_means_something_in_a_pool_only():
    pool = replace(BASE, threads=2)
    names = [flip.name for flip in flips(pool, cores=2, graph_levels=())]
    assert names[:2] == ["threads=1", "spinning=true"]
    (alone, *_) = flips(replace(pool, spinning=True), cores=2, graph_levels=())
    assert alone.settings == BASE, "one thread does not spin"


def test_one_core_has_no_pool():
    assert not [flip for flip in flips(BASE, cores=1, graph_levels=()) if flip.field == "threads"]


@pytest.mark.parametrize(
    ("low", "high", "taken", "why"),
    [
        (0.90, 0.9899, True, "faster"),
        (0.90, 0.99, False, "no clear gain"),
        (0.50, 1.01, False, "no clear gain"),
        (0.99, 1.01, False, "no clear gain"),
        (1.001, 1.2, False, "slower"),
    ],
)
def test_the_whole_interval_must_be_below_one_per_cent(low, high, taken, why):
    decision = decided({"memory_pattern=false": (low, high)})
    assert decision.why == {"memory_pattern=false": why}
    assert decision.settings == (replace(BASE, memory_pattern=False) if taken else BASE)
    assert decision.taken == (("memory_pattern=false",) if taken else ())


@pytest.mark.parametrize(("high", "taken"), [(0.9499, True), (0.95, False), (0.98, False)])
def test_the_arena_must_pay_for_its_memory(high, taken):
    decision = decided({"arena=true": (0.9, high)})
    assert decision.settings.arena is taken
    if not taken:
        assert decision.why["arena=true"] == "faster, but not by the 5% that it must pay"
    without = decided({"arena=false": (0.9, 0.98)}, settings=replace(BASE, arena=True))
    assert not without.settings.arena, "giving it up pays nothing"


@pytest.mark.parametrize(
    ("cpu", "taken", "why"),
    [
        ({CURRENT: 10.0, "threads=2": 11.0}, True, "faster"),
        ({CURRENT: 10.0, "threads=2": 11.1}, False, "faster, but 11% more CPU at the app's rate"),
        ({CURRENT: 10.0}, False, "faster, but its CPU was not measured"),
        ({"threads=2": 10.0}, False, "faster, but its CPU was not measured"),
    ],
)
def test_threads_must_not_burn_the_battery(cpu, taken, why):
    decision = decided({"threads=2": (0.5, 0.6)}, cpu=cpu)
    assert decision.why["threads=2"] == why
    assert decision.settings.threads == (2 if taken else 1)


def test_spinning_is_never_taken_for_speed_alone():
    pool = replace(BASE, threads=2)
    cpu = {CURRENT: 20.0, "spinning=true": 1700.0}
    decision = decided({"spinning=true": (0.3, 0.4)}, settings=pool, cpu=cpu)
    assert not decision.settings.spinning
    frugal = decided(
        {"spinning=false": (0.95, 0.98)}, settings=replace(pool, spinning=True), cpu={}
    )
    assert not frugal.settings.spinning, "what saves CPU needs no measurement of it"


@pytest.mark.parametrize(
    ("now", "then", "costs"),
    [(1, 2, True), (2, 1, False), (0, 2, False), (2, 0, True), (1, 0, True), (4, 2, False)],
)
def test_which_pools_cost(now, then, costs):
    flip = Flip("threads", replace(BASE, threads=then))
    assert flip.costs_cpu(replace(BASE, threads=now)) is costs


def test_the_fastest_of_one_field_and_the_winners_of_all():
    measured = {
        "graph_level=basic": (0.80, 0.84),
        "graph_level=extended": (0.90, 0.94),
        "prepacking=false": (0.95, 0.97),
    }
    decision = decided(measured)
    assert decision.settings == replace(BASE, graph_level="basic", prepacking=False)
    assert set(decision.taken) == {"graph_level=basic", "prepacking=false"}
    assert decided(dict(reversed(measured.items()))).settings == decision.settings


def test_what_was_not_timed_is_not_taken():
    assert decided({}).settings == BASE
    assert decided({}).why == {}


@pytest.mark.parametrize(("sessions", "taken"), [(10, True), (9, False), (1, False)])
def test_few_sessions_prove_nothing(sessions, taken):
    few = replace(ratio("prepacking=false", 0.5, 0.6), sessions=sessions)
    tried = flips(BASE, cores=1, graph_levels=())
    decision = decide(BASE, tried, {"prepacking=false": few}, {})
    assert decision.settings.prepacking is not taken
    assert goes_back(few) is taken


def test_going_back():
    assert not goes_back(None)
    assert not goes_back(ratio("before", 0.95, 1.0))
    assert goes_back(ratio("before", 0.95, 0.999))
