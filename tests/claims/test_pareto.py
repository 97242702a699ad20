"""A front is what no other beats: by the definition, and in order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgeseq.claims.pareto import front

NUMBERS = st.one_of(st.none(), st.integers(0, 6).map(float), st.floats(-1e6, 1e6))
ITEMS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=14)


def gain(item):
    return item[1][0]


def cost(item):
    return item[1][1]


def beats(a, b):
    no_worse = gain(a) >= gain(b) and cost(a) <= cost(b)
    return no_worse and (gain(a) > gain(b) or cost(a) < cost(b))


@given(ITEMS)
def test_exactly_what_nothing_beats(pairs):
    items = list(enumerate(pairs))
    known = [item for item in items if None not in item[1]]
    expected = {a for a in known if not any(beats(b, a) for b in known)}
    found = front(items, gain, cost)
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(ITEMS)
def test_cheapest_first(pairs):
    found = front(list(enumerate(pairs)), gain, cost)
    for a, b in pairwise(found):
        assert cost(a) <= cost(b)
        assert gain(a) <= gain(b)


def test_twins_stay_and_what_is_only_dearer_goes():
    twin, other, dearer = ("a", (2.0, 1.0)), ("b", (2.0, 1.0)), ("c", (2.0, 1.5))
    assert front([dearer, twin, other], gain, cost) == (twin, other)
