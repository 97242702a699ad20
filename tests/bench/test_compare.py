"""Two results, or two variants of one run: worse, not worse, or honestly not known."""

from dataclasses import replace

import pytest

from edgeseq.bench.compare import BETWEEN_RUNS, compare_results, within_margin
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.run import BenchSettings, bench
from edgeseq.bench.stats import Ratio
from edgeseq.contract import SessionSettings


def ratio(value, low, high):
    return Ratio("b", "a", value, low, high, 0.95, 40, 20)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.99, 1.01, "pass"),
        (0.9, 1.05, "pass"),  # the margin itself is allowed
        (1.04, 1.06, "not checked"),
        (1.05, 1.2, "not checked"),
        (1.051, 1.2, "fail"),
    ],
)
def test_all_of_the_interval_decides(low, high, word):
    found = within_margin(ratio((low + high) / 2, low, high), 0.05)
    assert (found.variant, found.promise, found.limit) == ("b", "hot p50 vs a", "1.05 times")
    assert found.verdict == word, found.reason
    assert ("measure longer" in found.reason) == (word == "not checked")


@pytest.fixture(scope="module")
def result(bundle):
    settings = BenchSettings(
        hot=HotSettings(rounds=4, block=20), chunk_rounds=0, gap_repeats=0, fresh_processes=1,
        fresh_steps=10,
    )  # fmt: skip
    return bench(bundle, settings=settings)


def slower(result, factor, *, machine=1.0, size=1.0):
    """Return the result as if the variants were slower by `factor`, the machine by `machine`."""

    def changed(variant):
        against, hot = variant.against_floor, variant.hot
        return replace(
            variant,
            file_kib=variant.file_kib * size,
            hot=replace(hot, p50_us=hot.p50_us * factor * machine),
            against_floor=replace(
                against,
                ratio=1.5 * factor,
                low=1.5 * factor * 0.99,
                high=1.5 * factor / 0.99,
            ),
        )

    return replace(result, variants=tuple(map(changed, result.variants)))


def words(old, new, margin=0.05):
    found = compare_results(old, new, margin, names=("old.json", "new.json"))
    return {
        item.promise.removesuffix(" vs old.json"): item.verdict
        for item in found.verdicts
        if item.variant == "fp32"
    }


def test_the_same_again_passes(result):
    base = slower(result, 1.0)
    found = compare_results(base, base, 0.06)
    assert found.apart is None
    assert words(base, base, 0.06) == dict.fromkeys(
        ("hot p50", "peak memory", "file", "state"), "pass"
    )
    assert {change.ratio for change in found.changes} == {1.0}


def test_a_slow_phase_of_the_machine_is_no_regression(result):
    base = slower(result, 1.0)
    assert words(base, slower(result, 1.0, machine=1.5), 0.06)["hot p50"] == "pass"


@pytest.mark.parametrize(("factor", "word"), [(1.2, "fail"), (1.07, "not checked"), (0.8, "pass")])
def test_a_regression_is_found_whatever_the_machine_does(result, factor, word):
    base = slower(result, 1.0)
    for machine in (0.7, 1.0, 1.5):
        assert words(base, slower(result, factor, machine=machine))["hot p50"] == word


def test_the_interval_holds_both_runs_and_what_lies_between_them(result):
    base = slower(result, 1.0)
    change = compare_results(base, base, 0.05).changes[0]
    assert change.quantity == "hot p50"
    assert change.high == pytest.approx(1 + 1.96 * BETWEEN_RUNS, abs=0.005)
    assert change.low == pytest.approx(1 / change.high, abs=1e-3)


def test_sizes_are_judged_to_the_margin(result):
    base = slower(result, 1.0)
    assert words(base, slower(result, 1.0, size=1.04))["file"] == "pass"
    assert words(base, slower(result, 1.0, size=1.06))["file"] == "fail"


def test_another_machine_is_not_compared(result):
    base = slower(result, 1.0)
    other = replace(base, machine=replace(base.machine, cpu="Cortex-A72"))
    found = compare_results(base, other, 0.05)
    assert found.apart == f"cpu was {base.machine.cpu}, is Cortex-A72"
    assert words(base, other) == {
        "hot p50": "not checked", "peak memory": "not checked", "file": "pass", "state": "pass",
    }  # fmt: skip


def test_other_session_settings_are_not_compared(result):
    other = replace(
        result,
        variants=tuple(
            replace(variant, session=SessionSettings(threads=4)) for variant in result.variants
        ),
    )
    assert "other session settings" in compare_results(result, other, 0.05).apart


def test_what_only_one_has_is_said(result):
    less = replace(result, variants=result.variants[:1])
    found = compare_results(result, less, 0.05)
    assert found.missing == ("int8",)
    assert {change.variant for change in found.changes} == {"fp32"}
