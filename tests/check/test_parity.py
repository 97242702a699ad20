import math

import numpy as np
import pytest

from edgeseq.check import compare, decision_rule
from edgeseq.contract import Frame, Output
from edgeseq.errors import UsageError

FRAME = Frame(("x",), ("V",), 1.0)
LOGITS = decision_rule(FRAME, Output(kind="logits", labels=("a", "b")))


@pytest.fixture
def reference():
    array = np.full((20, 2), 2.0, np.float32)  # RMS 2
    array[:, 1] = -2
    return array


def test_equal_arrays_have_no_error_and_a_finite_sqnr(reference):
    parity = compare(reference, reference.copy(), LOGITS)
    assert (parity.steps, parity.relative_error, parity.sqnr_db) == (20, 0.0, 300.0)
    assert parity.drift == (0.0,) * 10
    assert parity.changed_decisions == 0


def test_one_error_is_found_where_it_is(reference):
    outputs = reference.copy()
    outputs[7, 1] += 1
    parity = compare(reference, outputs, LOGITS)
    assert parity.relative_error == 0.5
    assert parity.at_step == 7
    assert parity.drift == (0, 0, 0, pytest.approx(0.25), 0, 0, 0, 0, 0, 0)
    assert parity.sqnr_db == pytest.approx(20 * math.log10(2 / math.sqrt(1 / 40)))
    assert parity.changed_decisions == 0


def test_changed_decisions_are_a_share_of_frames(reference):
    outputs = reference.copy()
    outputs[[3, 4, 19]] *= -1
    assert compare(reference, outputs, LOGITS).changed_decisions == 3 / 20
    assert compare(reference, outputs).changed_decisions == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_infinitely_wrong(reference, wrong):
    outputs = reference.copy()
    outputs[5, 0] = wrong
    parity = compare(reference, outputs, LOGITS)
    assert (parity.relative_error, parity.at_step, parity.sqnr_db) == (np.inf, 5, -300.0)
    assert not parity.relative_error <= 1e9


def test_a_silent_reference_does_not_divide_by_zero(reference):
    assert compare(reference * 0, reference).relative_error > 1e30
    assert compare(reference * 0, reference * 0).relative_error == 0


def test_short_runs_have_fewer_stretches(reference):
    assert len(compare(reference[:3], reference[:3]).drift) == 3


def test_values_decide_nothing():
    assert decision_rule(FRAME, Output(kind="value", labels=("x",))) is None


@pytest.mark.parametrize(
    ("left", "right"), [((3, 2), (4, 2)), ((0, 2), (0, 2)), ((3,), (3,)), ((3, 2), (3, 1))]
)
def test_other_shapes_are_refused(left, right):
    with pytest.raises(UsageError, match=r"^cannot compare outputs \(.*\) with \(.*\)$"):
        compare(np.zeros(left, np.float32), np.zeros(right, np.float32))


def test_a_next_token_is_drawn():
    """Of two tokens, 0.6 against 0.4 and 0.9 against 0.1: three draws in ten must differ."""
    letters = ("a", "b")
    frame = Frame(("letter",), ("token",), 1.0, vocabulary=letters)
    decide = decision_rule(frame, Output(kind="logits", labels=letters))
    reference = np.log([[0.6, 0.4], [0.6, 0.4]]).astype(np.float32)
    outputs = np.log([[0.9, 0.1], [0.6, 0.4]]).astype(np.float32)
    assert compare(reference, outputs, decide).changed_decisions == pytest.approx(0.15, abs=1e-6)
    outputs[1] = np.nan
    assert compare(reference, outputs, decide).changed_decisions == pytest.approx(0.65, abs=1e-6)
