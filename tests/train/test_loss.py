import math

import pytest
import torch

from edgeseq.tasks.base import UNKNOWN
from edgeseq.train.loss import classification_loss, frame_loss, regression_loss

LN2 = math.log(2)


def logits_for(probability):
    """Two logits whose softmax gives the first class `probability`."""
    return [math.log(probability), math.log(1 - probability)]


def test_half_per_frame_and_half_on_the_mean_logits():
    logits = torch.tensor([[logits_for(0.5), logits_for(0.8)]])  # mean: odds of 1 * 4 → 2 to 1
    loss = classification_loss(logits, torch.zeros(1, 2, dtype=torch.long))
    per_frame = (LN2 + math.log(1 / 0.8)) / 2
    assert loss.item() == pytest.approx((per_frame + math.log(3 / 2)) / 2, rel=1e-5)


def test_the_first_frames_have_no_loss_of_their_own_but_count_in_the_mean():
    logits = torch.tensor([[logits_for(0.5), logits_for(0.8)]])
    loss = classification_loss(logits, torch.zeros(1, 2, dtype=torch.long), skip=0.15)
    assert loss.item() == pytest.approx((math.log(1 / 0.8) + math.log(3 / 2)) / 2, rel=1e-5)


def test_label_smoothing_as_in_its_definition():
    logits = torch.tensor([[logits_for(0.8)]])
    loss = classification_loss(logits, torch.zeros(1, 1, dtype=torch.long), label_smoothing=0.1)
    assert loss.item() == pytest.approx(-0.95 * math.log(0.8) - 0.05 * math.log(0.2), rel=1e-5)


def test_unknown_frames_count_nowhere():
    logits = torch.tensor([[logits_for(0.8), [9.0, -9.0]]], requires_grad=True)
    loss = classification_loss(logits, torch.tensor([[0, UNKNOWN]]))
    assert loss.item() == pytest.approx(math.log(1 / 0.8), rel=1e-5)
    loss.backward()
    assert logits.grad[0, 1].tolist() == [0, 0]


def test_a_crop_in_which_the_class_changes_has_only_the_loss_per_frame():
    logits = torch.tensor([[logits_for(0.8), logits_for(0.2)]])
    loss = classification_loss(logits, torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(math.log(1 / 0.8) / 2, rel=1e-5)


def test_where_each_frame_has_its_own_answer_nothing_is_asked_of_the_crop():
    logits = torch.tensor([[logits_for(0.5), logits_for(0.8), logits_for(0.8)]])
    loss = frame_loss(logits, torch.tensor([[1, 0, 0]]), skip=0.3)
    assert loss.item() == pytest.approx(math.log(1 / 0.8), rel=1e-5)
    loss = frame_loss(logits, torch.tensor([[1, 0, UNKNOWN]]))
    assert loss.item() == pytest.approx((LN2 + math.log(1 / 0.8)) / 2, rel=1e-5)


def test_a_batch_without_known_frames_has_no_loss_and_no_nan():
    logits = torch.zeros(2, 3, 2, requires_grad=True)
    loss = classification_loss(logits, torch.full((2, 3), UNKNOWN))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_regression_is_the_absolute_error_in_units_of_the_scale():
    outputs = torch.tensor([[[3.0], [10.0]]])
    target = torch.tensor([[[1.0], [4.0]]])
    # Errors of 1 and 3 scales; Huber takes off half its quadratic part, 0.05.
    loss = regression_loss(outputs, target, torch.tensor([2.0]))
    assert loss.item() == pytest.approx((0.95 + 2.95) / 2, rel=1e-5)


def test_small_errors_are_quadratic():
    loss = regression_loss(torch.tensor([[[0.05]]]), torch.zeros(1, 1, 1), torch.ones(1))
    assert loss.item() == pytest.approx(0.05**2 / 2 / 0.1, rel=1e-5)


def test_nan_targets_count_nowhere_and_make_no_nan_gradients():
    outputs = torch.tensor([[[3.0], [7.0]]], requires_grad=True)
    loss = regression_loss(outputs, torch.tensor([[[1.0], [math.nan]]]), torch.ones(1))
    assert loss.item() == pytest.approx(1.95, rel=1e-5)
    loss.backward()
    assert outputs.grad[0, :, 0].tolist() == [pytest.approx(1.0), 0]


def test_regression_skips_the_first_frames():
    outputs = torch.tensor([[[9.0], [1.0]]])
    loss = regression_loss(outputs, torch.zeros(1, 2, 1), torch.ones(1), skip=0.5)
    assert loss.item() == pytest.approx(0.95, rel=1e-5)
