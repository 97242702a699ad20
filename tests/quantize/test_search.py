"""The search on numbers whose best answer is known."""

from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseq.quantize.search import (
    FP32,
    Finalist,
    Landscape,
    alone,
    choose_ladder,
    climb,
    one_at_a_time,
    select,
    uniform,
    walk,
)

BITS = {"weights4": 4, "weights8": 8, "dynamic": 8, "static": 8, FP32: 32}


@dataclass(frozen=True)
class Verdict:
    power: float
    keeps: bool


def judge_by_power(landscape: Landscape, limit: float):
    """Judge as if noise powers really added."""

    def judge(assignment) -> Verdict:
        power = sum(landscape.power(*pair) for pair in assignment.items())
        return Verdict(power, power <= limit)

    return judge


def bytes_of(landscape: Landscape, assignment) -> float:
    return sum(
        landscape.elements[weight] * landscape.bits[scheme] / 8
        for weight, scheme in assignment.items()
    )


def landscape(noise: dict[str, float], elements: dict[str, int]) -> Landscape:
    """Two rungs: int8 or fp32."""
    known = {(weight, "dynamic"): value for weight, value in noise.items()}
    return Landscape(elements, ("dynamic", FP32), BITS, known)


def test_the_weight_that_is_worth_most_for_a_byte_goes_first():
    # R0 is noisier, but 16 times as large: for a byte the head is worth four times as much.
    land = landscape({"R0": 0.02, "head": 0.01}, {"R0": 1600, "head": 100})
    assert [list(step.values()) for step in walk(land)] == [
        ["dynamic", "dynamic"],
        ["dynamic", FP32],
    ]


def test_noise_counts_by_its_power():
    # By amplitude b is worth more for a byte (0.02 / 100 against 0.03 / 200), by power a is.
    land = landscape({"a": 0.03, "b": 0.02}, {"a": 200, "b": 100})
    assert list(walk(land))[1] == {"a": FP32, "b": "dynamic"}


def test_a_known_optimum_is_found():
    """Limits that only one cheap assignment keeps."""
    land = landscape(
        {"W0": 0.001, "R0": 0.03, "W1": 0.002, "R1": 0.004, "head": 0.001},
        {"W0": 4000, "R0": 4000, "W1": 4000, "R1": 4000, "head": 1000},
    )
    judged = climb(land, judge_by_power(land, 0.01**2))
    assert judged[-1][0] == {**uniform(list(land.elements), "dynamic"), "R0": FP32}
    assert [verdict.keeps for _, verdict in judged] == [False, True]


def test_nothing_is_widened_where_the_narrowest_keeps_the_limits():
    land = landscape({"W0": 0.01, "R0": 0.01}, {"W0": 10, "R0": 10})
    judged = climb(land, judge_by_power(land, 1.0))
    assert [assignment for assignment, _ in judged] == [uniform(["W0", "R0"], "dynamic")]


def test_where_only_fp32_would_do_the_last_verdict_breaks():
    land = landscape({"W0": 0.01, "R0": 0.01}, {"W0": 10, "R0": 20})
    judged = climb(land, judge_by_power(land, 0.0))
    assert len(judged) == 2
    assert not judged[-1][1].keeps


def test_a_wider_scheme_that_is_no_quieter_is_skipped():
    noise = {("W0", "weights4"): 0.1, ("W0", "dynamic"): 0.1}
    land = Landscape({"W0": 100}, ("weights4", "dynamic", FP32), BITS, noise)
    assert land.next_quieter("W0", "weights4") == FP32
    assert list(walk(land)) == [{"W0": "weights4"}]


def test_a_silent_weight_stays_narrow():
    land = landscape({"W0": 0.0, "R0": 0.1}, {"W0": 1, "R0": 1_000_000})
    assert list(walk(land)) == [
        {"W0": "dynamic", "R0": "dynamic"},
        {"W0": "dynamic", "R0": FP32},
    ]


def test_three_rungs_are_climbed_one_by_one():
    noise = {
        ("W0", "weights4"): 0.4,
        ("W0", "weights8"): 0.01,
        ("R0", "weights4"): 0.3,
        ("R0", "weights8"): 0.02,
    }
    land = Landscape({"W0": 100, "R0": 100}, ("weights4", "weights8", FP32), BITS, noise)
    assert [tuple(step.values()) for step in walk(land)] == [
        ("weights4", "weights4"),
        ("weights8", "weights4"),
        ("weights8", "weights8"),
        ("weights8", FP32),
    ]


LANDSCAPES = st.integers(1, 5).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(1e-4, 0.5), min_size=count, max_size=count),
        st.lists(st.integers(1, 5000), min_size=count, max_size=count),
        st.floats(1e-4, 1.0),
    )
)


@given(LANDSCAPES)
def test_the_greedy_answer_is_within_one_weight_of_the_best(case):
    """Dantzig's bound: what greedy pays more than the best is less than the last step's price."""
    noises, elements, limit = case
    names = [f"w{number}" for number in range(len(noises))]
    land = landscape(dict(zip(names, noises, strict=True)), dict(zip(names, elements, strict=True)))
    judge = judge_by_power(land, limit**2)
    judged = climb(land, judge)
    assert all(not verdict.keeps for _, verdict in judged[:-1])
    best = min(
        bytes_of(land, assignment)
        for choice in product(("dynamic", FP32), repeat=len(names))
        if judge(assignment := dict(zip(names, choice, strict=True))).keeps
    )
    found = judged[-1][0] if judged[-1][1].keeps else uniform(names, FP32)
    assert bytes_of(land, found) <= best + 3 * max(elements)


def test_every_weight_is_quantized_alone_once_a_scheme():
    pairs = list(one_at_a_time(["W0", "head"], ["dynamic", "static", FP32]))
    assert pairs == [
        ("W0", "dynamic"), ("W0", "static"), ("head", "dynamic"), ("head", "static"),
    ]  # fmt: skip
    assert alone(["W0", "head"], "head", "static") == {"W0": FP32, "head": "static"}


def test_of_each_width_the_least_noisy_scheme_is_climbed():
    noise = {"static": 0.02, "dynamic": 0.01, "weights4": 0.3}
    assert choose_ladder(BITS, noise) == ("weights4", "dynamic", FP32)
    assert choose_ladder(BITS, {}) == (FP32,)


def finalist(name: str, kib: int = 50, noise: float = 0.01, ratio: float | None = 0.5) -> Finalist:
    return Finalist(name, kib * 1024, noise, ratio)


def chosen(*finalists: Finalist):
    return select(finalists, fp32_bytes=200 * 1024)


def test_the_smallest_of_the_fast_ones_wins():
    found = chosen(
        finalist("a", 60, ratio=0.500), finalist("b", 50, ratio=0.514), finalist("c", 40, ratio=0.6)
    )
    assert found.winner == "b"
    assert found.against["a"] == "larger than b, and no faster"
    assert found.against["c"] == "slower than a (1.20 times)"


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.97, "no faster than fp32 (0.97 times its time)"),
        (1.02, "no faster than fp32"),
        (1.2, "slower than fp32 (1.20 times its time)"),
        (None, "of unknown speed"),
    ],
)
def test_what_is_no_faster_than_fp32_does_not_win(ratio, words):
    found = chosen(finalist("a", ratio=ratio))
    assert found.winner is None
    assert words in found.against["a"]


def test_what_is_no_smaller_than_fp32_does_not_win():
    assert chosen(finalist("a", 200)).against == {"a": "not smaller than fp32"}


def test_equal_sizes_are_told_apart_by_noise_then_by_name():
    found = chosen(finalist("b"), finalist("c", noise=0.02), finalist("a"))
    assert found.winner == "a"
    assert found.against["c"].startswith("noisier than a")
    assert found.against["b"].startswith("the same as a")


def test_nobody_wins_where_nobody_came():
    assert chosen().winner is None


@given(st.permutations([finalist("a", 60), finalist("b", 50, ratio=0.51), finalist("c", ratio=1)]))
def test_the_order_of_the_finalists_does_not_matter(finalists):
    assert chosen(*finalists).winner == "b"


def test_times_that_differ_by_noise_alone_do_not_decide():
    """A tenth of a per cent either way, and the smaller one wins all the same."""
    for first, second in ((0.500, 0.5005), (0.5005, 0.500)):
        found = chosen(finalist("small", 50, ratio=first), finalist("large", 60, ratio=second))
        assert found.winner == "small"
