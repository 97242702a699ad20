"""What gates and attention that are known by hand let through."""

import numpy as np
import pytest

from edgeseq.explain.inside import (
    Attended,
    Gates,
    attended_importance,
    gated_importance,
    rollout,
)


def lstm(written, kept, shown, residual=False):
    names = {"input": np.array(written), "forget": np.array(kept), "output": np.array(shown)}
    ones = np.ones_like(names["input"])
    return Gates(0, "lstm", names, -ones, ones, residual)


def test_what_is_left_is_written_times_all_that_was_kept_since():
    layer = lstm([[0.5], [0.2], [0.1]], [[0.9], [0.5], [0.25]], [[1.0], [1.0], [1.0]])
    left = np.array([0.5 * 0.5 * 0.25, 0.2 * 0.25, 0.1])
    assert layer.flow()[2] == pytest.approx(left / left.sum())
    assert layer.flow()[1] == pytest.approx([0.25 / 0.45, 0.2 / 0.45, 0])
    assert gated_importance([layer]) == pytest.approx(left / left.sum())


def test_units_count_by_what_they_show_at_the_end():
    layer = lstm([[1.0, 0], [0, 1.0]], np.ones((2, 2)), [[0.0, 0.0], [0.3, 0.1]])
    assert layer.flow()[1] == pytest.approx([0.75, 0.25])
    assert (layer.flow()[0] == 0).all(), "nothing shown stays nothing, and no NaN"


def test_a_gru_writes_what_it_does_not_keep():
    update = np.array([[0.2], [0.6]])
    layer = Gates(0, "gru", {"update": update, "reset": update}, np.full((2, 1), -0.5), update)
    left = np.array([0.8 * 0.5 * 0.6, 0.4 * 0.5])
    assert layer.flow()[1] == pytest.approx(left / left.sum())


def test_layers_are_multiplied():
    first = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]])  # each takes the one before
    second = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0.25, 0.75]])
    assert rollout([(first, False), (second, False)]) == pytest.approx([0.25, 0.75, 0])
    half = (first[2] + [0, 0, 1]) / 2
    assert rollout([(first, True)]) == pytest.approx(half)
    assert rollout([(first, False), (second, False)], row=1) == pytest.approx([1, 0, 0])


def test_attention_of_a_window_lands_on_the_frames_of_the_stream():
    weights = np.full((2, 4, 4), 0.25)
    late = attended_importance([Attended(0, weights, first=3)], 7)
    assert late == pytest.approx([0, 0, 0, 0.125, 0.125, 0.125, 0.625])
    early = attended_importance([Attended(0, weights, first=-2, row=3)], 2)
    assert early == pytest.approx([0.125, 0.625])
