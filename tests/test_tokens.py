"""Characters and their numbers."""

import pytest

from edgeseq.errors import DataError
from edgeseq.tokens import UNKNOWN_CHARACTER, decode, encode

VOCABULARY = ("\n", "a", "b", UNKNOWN_CHARACTER)


def test_there_and_back():
    assert encode("ab\nba", VOCABULARY) == [1, 2, 0, 2, 1]
    assert decode([1, 2, 0, 2, 1], VOCABULARY) == "ab\nba"
    assert encode("", VOCABULARY) == []


def test_other_characters_are_the_unknown_one():
    assert encode("a\tb\u20ac", VOCABULARY) == [1, 3, 2, 3]
    assert decode([1, 3, 2, 3], VOCABULARY) == "a\ufffdb\ufffd"


def test_what_cannot_be_said_is_refused():
    with pytest.raises(DataError, match="the vocabulary has no 'c'"):
        encode("abc", VOCABULARY[:3])
    for number in (4, -1):
        with pytest.raises(DataError, match=f"{number} is no token; there are 0 to 3"):
            decode([0, number], VOCABULARY)
