"""Numbers as they are written."""

import doctest

import pytest

from edgeseq.report import numbers


def test_the_examples_hold() -> None:
    assert doctest.testmod(numbers).failed == 0


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (0.00456, "0.00456"), (0.5, "0.500"), (1.0, "1.00"), (12.345, "12.3"),
     (999.4, "999"), (123456.0, "123,456"), (-3.14159, "-3.14")],
)  # fmt: skip
def test_three_digits(value: float, written: str) -> None:
    assert numbers.short(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3.14e-7, "3.1·10⁻⁷"),
        (0.0054, "5.4·10⁻³"),
        (0.054, "0.054"),
        (1.0, "1.0"),
        (0, "0"),
        (2e12, "2.0·10¹²"),
    ],
)
def test_powers(value: float, written: str) -> None:
    assert numbers.scientific(value) == written


def test_a_tiny_share_is_not_none() -> None:
    assert numbers.percent(1e-5) == "< 0.01 %"
    assert numbers.percent(1e-4) == "0.01 %"
    assert numbers.percent(1e-5, decimals=1) == "< 0.1 %"


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.42, "0.4 s"), (48.2, "48 s"), (192.4, "3 min 12 s")]
)
def test_durations(seconds: float, written: str) -> None:
    assert numbers.duration(seconds) == written
