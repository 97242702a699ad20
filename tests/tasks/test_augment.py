"""Augmentation keeps shapes and finiteness, and does to the signal what its name says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseq.tasks import augment, har


def rng(seed=0):
    return np.random.default_rng(seed)


@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 7), st.integers(1, 3))
def test_unstack_undoes_stack(length, count, channels, batch):
    samples = rng().normal(size=(batch, length, channels)).astype(np.float32)
    frames = augment.stack(samples, count)
    assert frames.shape == (batch, length // count, count * channels)
    whole = samples[:, : length - length % count]
    np.testing.assert_array_equal(augment.unstack(frames, channels), whole)


def test_stack_is_oldest_first():
    samples = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]], np.float32)
    assert augment.stack(samples, 2).tolist() == [[1, 10, 2, 20], [3, 30, 4, 40]]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_har_variation_keeps_shape_and_is_finite(count, length, seed):
    frames = rng(1).normal(size=(count, length, 24)).astype(np.float32)
    varied = har.vary(frames, rng(seed))
    assert varied.shape == frames.shape
    assert varied.dtype == np.float32
    assert np.isfinite(varied).all()
    np.testing.assert_array_equal(varied, har.vary(frames, rng(seed)))


def test_tempo_plays_a_ramp_at_the_speed_it_returns():
    ramp = np.tile(np.arange(100, dtype=np.float32)[:, None], (50, 1, 1))
    warped, speed = augment.tempo(ramp, rng(), 0.25)
    steps = np.diff(warped[..., 0], axis=1)
    assert (speed >= 0.75).all()
    assert (speed <= 1.25).all()
    slow = speed[:, 0, 0] < 1
    assert 10 < slow.sum() < 40
    np.testing.assert_allclose(steps[slow], np.tile(speed[slow, 0], (1, 99)), atol=1e-4)
    before_turn = steps[~slow][:, :75]  # a faster copy turns round at the end, after 79 steps
    np.testing.assert_allclose(before_turn, np.tile(speed[~slow, 0], (1, 75)), atol=1e-4)
    assert (steps[~slow][:, -1] < 0).mean() > 0.9
    assert warped.min() >= 0
    assert warped.max() <= 99


def test_tempo_of_one_sample():
    one = np.ones((2, 1, 3), np.float32)
    np.testing.assert_array_equal(augment.tempo(one, rng(), 0.25)[0], one)


def test_rotations_keep_length_and_turn_by_the_angle():
    turns = augment.rotations(2000, rng(), 0.1).astype(np.float64)
    np.testing.assert_allclose(
        turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-6)
    cosine = (np.trace(turns, axis1=1, axis2=2) - 1) / 2
    angle = np.arccos(np.clip(cosine, -1, 1))
    assert abs(np.sqrt((angle**2).mean()) - 0.1) < 0.005


def test_jitter_has_its_standard_deviation():
    noise = augment.jitter(np.zeros((100, 1000), np.float32), rng(), 0.02)
    assert abs(noise.std() - 0.02) < 1e-3


def test_har_mirrors_half_of_the_crops():
    """Across x: ax, wy and wz change sign; gravity on y stays within the mild rest."""
    still = np.tile(np.array([1, 1, 1, 1, 1, 1], np.float32), (400, 20, 4))
    samples = augment.unstack(har.vary(still, rng()), 6).mean(axis=1)
    mirrored = samples[:, 0] < 0
    assert 160 < mirrored.sum() < 240
    signs = np.sign(samples)
    assert (signs[mirrored] == [-1, 1, 1, 1, -1, -1]).all()
    assert (signs[~mirrored] == 1).all()
    size = np.linalg.norm(samples[:, :3], axis=1) / np.sqrt(3)
    assert abs(size.mean() - 1) < 0.02
    assert 0.04 < size.std() < 0.08  # three gains of 0.1, averaged
    turning = np.linalg.norm(samples[:, 3:], axis=1) / np.sqrt(3)
    assert 0.215 < turning.std() < 0.265  # and a tempo from 0.6 to 1.4, whose sd is 0.231
