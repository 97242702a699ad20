"""One word for many parts, and what the parts may be."""

import pytest

from edgeseq.claims.verdict import Part, above, combine


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("supported supported", "supported"),
        ("refuted refuted", "refuted"),
        ("supported refuted", "mixed"),
        ("supported refuted inconclusive", "mixed"),
        ("supported inconclusive", "inconclusive"),
        ("refuted inconclusive", "refuted"),
        ("inconclusive", "inconclusive"),
    ],
)
def test_combine(words: str, expected: str) -> None:
    parts = [Part("", "", word, "") for word in words.split()]
    assert combine(parts) == expected


def test_what_was_not_measured_supports_nothing() -> None:
    missing, found = Part("", "", "not measured", ""), Part("", "", "supported", "")
    assert combine([missing, missing]) == "not measured"
    assert combine([missing, found]) == "inconclusive"
    assert combine([]) == "not measured"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((1.11, 1.3), "supported"), ((0.9, 1.09), "refuted"), ((1.0, 1.2), "inconclusive"),
     ((1.1, 1.2), "inconclusive"), ((1.0, 1.1), "inconclusive")],
)  # fmt: skip
def test_an_interval_that_touches_the_threshold_decides_nothing(interval, expected) -> None:
    assert above(interval, 1.1) == expected
