"""Baselines on processes whose best answer is known."""

import numpy as np
import pytest

from edgeseq.tasks import baselines
from edgeseq.tasks.base import UNKNOWN, Recording
from edgeseq.tasks.scoring import cut_windows, value_score
from edgeseq.tasks.targets import ahead

RHO, HORIZON = 0.9, 2


def process(seed, length=20000):
    """x[t + 1] = 0.9 x[t] + N(0, 1), as a recording whose target is two frames ahead."""
    noise = np.random.default_rng(seed).normal(size=length)
    values = np.zeros(length, np.float32)
    for index in range(1, length):
        values[index] = RHO * values[index - 1] + noise[index]
    frames = values[:, None]
    return cut_windows([Recording(frames, ahead(frames, HORIZON), "a", "r")], 500, overlap=4)


@pytest.fixture(scope="module")
def processes():
    return process(0), process(1), process(2)


def expected(variance):
    """Mean absolute value of a normal variable."""
    return np.sqrt(2 * variance / np.pi)


def test_persistence_has_the_error_that_theory_says(processes):
    score = value_score(baselines.persistence(0), processes[2], 4, "")
    change = 2 * (1 - RHO**HORIZON) / (1 - RHO**2)  # variance of x[t + 2] - x[t]
    assert score.value == pytest.approx(expected(change), rel=0.02)


@pytest.mark.parametrize("residual_of", [0, None])
def test_autoregression_reaches_the_noise_floor(processes, residual_of):
    train, validation, test = processes
    predict = baselines.ridge_autoregression(train, validation, lags=5, residual_of=residual_of)
    score = value_score(predict, test, 4, "")
    assert score.value == pytest.approx(expected(1 + RHO**2), rel=0.02)
    one = np.zeros((1, 6, 1), np.float32)
    one[0, -1] = 1.0
    gain = (predict(one) - predict(0 * one))[0, -1, 0]
    assert gain == pytest.approx(RHO**HORIZON, abs=0.03)


def test_autoregression_is_causal(processes):
    train, validation, test = processes
    predict = baselines.ridge_autoregression(train, validation, lags=5, residual_of=0)
    changed = test.frames.copy()
    changed[:, 300:] += 100
    before, after = predict(test.frames), predict(changed)
    np.testing.assert_array_equal(before[:, :300], after[:, :300])
    assert (before[:, 300:] != after[:, 300:]).all()


def test_constant_is_the_mean_of_known_targets(processes):
    train = processes[0]
    output = baselines.constant(train)(train.frames)
    assert output.shape == train.target.shape
    assert output[0, 0, 0] == pytest.approx(np.nanmean(train.target.astype(np.float64)))


def waves(seed, count=60):
    """Class 0 swings at 1/8, class 1 at 1/4 of the rate; both have the same mean and spread."""
    rng = np.random.default_rng(seed)
    target = np.arange(count) % 2
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    angle = np.arange(32) * 2 * np.pi / 8 * (1 + target[:, None]) + phase
    samples = np.sin(angle) + rng.normal(0, 0.1, angle.shape)
    frames = samples.astype(np.float32).reshape(count, 8, 4)
    pairs = zip(frames, target, strict=True)
    return cut_windows(
        [Recording(one, np.full(8, label), f"{i}", "r") for i, (one, label) in enumerate(pairs)], 8
    )


def test_forest_tells_waves_apart_that_differ_in_frequency_only():
    train, test = waves(0), waves(1)
    predict = baselines.random_forest(train, 3, 1)
    outputs = predict(test.frames)
    assert outputs.shape == (60, 8, 3)
    assert (outputs.mean(axis=1).argmax(axis=-1) == test.target[:, 0]).all()
    assert (outputs[..., 2] == 0).all()  # a class that training never saw
    np.testing.assert_array_equal(outputs, baselines.random_forest(train, 3, 1)(test.frames))


@pytest.mark.parametrize("fit", [baselines.logistic_regression, baselines.support_vectors])
def test_values_of_whole_windows_tell_shapes_apart(fit):
    """Class 0 rises and class 2 falls, around the same mean; nothing is of class 1."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(40)[:, None] % 2 * 2, 5, axis=1)
    slope = np.linspace(-1, 1, 5) * (1 - target[:, :1])
    frames = (slope + rng.normal(0, 0.3, slope.shape)).astype(np.float32)[..., None]
    pairs = zip(frames, target, strict=True)
    windows = cut_windows([Recording(one, label, "a", "r") for one, label in pairs], 5)
    outputs = fit(windows, 3, 1)(windows.frames)
    assert outputs.shape == (40, 5, 3)
    assert (outputs.argmax(axis=-1) == target).mean() > 0.9


def test_majority_ignores_unknown_windows():
    frames = np.zeros((6, 1), np.float32)
    target = np.array([UNKNOWN, UNKNOWN, UNKNOWN, 2, 2, 1])
    windows = cut_windows([Recording(frames, target, "a", "r")], 1)
    assert baselines.majority(windows, 3)(np.zeros((1, 2, 1), np.float32)).tolist() == [
        [[0, 1, 2], [0, 1, 2]]
    ]


def test_window_statistics_by_hand():
    """Two channels over four samples: 1 2 3 4 and its negative."""
    samples = np.array([[1, -1], [2, -2], [3, -3], [4, -4]], np.float32)
    row = baselines.window_statistics(samples.reshape(1, 2, 4), 2)[0].reshape(-1)
    mean, spread, low, high = row[0:2], row[2:4], row[4:6], row[6:8]
    assert mean.tolist() == [2.5, -2.5]
    np.testing.assert_allclose(spread, np.sqrt(1.25), rtol=1e-6)
    assert (low.tolist(), high.tolist()) == ([1, -4], [4, -1])
    assert row[12:14].tolist() == [2.5, -2.5]  # median
    assert row[18:20].tolist() == [7.5, 7.5]  # energy
    assert row[20:22].tolist() == [1, 1]  # mean absolute change
    np.testing.assert_allclose(row[22:24], 1 / 3, rtol=1e-6)  # crossings of the mean
    assert row[24:26].tolist() == [1, 1]  # dominant bin
    assert row[-1] == pytest.approx(-1)  # correlation
    assert len(row) == 2 * 15 + 1


def test_statistics_of_a_constant_are_finite():
    assert np.isfinite(baselines.window_statistics(np.ones((2, 5, 6), np.float32), 3)).all()


def test_ahead():
    values = np.arange(4, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(ahead(values, 0), values)
    np.testing.assert_array_equal(ahead(values, 3)[:, 0], [3, np.nan, np.nan, np.nan])
    assert np.isnan(ahead(values, 9)).all()


def one(*values):
    return np.array(values, np.float32).reshape(1, -1, 1)


def test_ewma_by_hand():
    found = baselines.ewma(0, decay=0.5)(one(-1, 2, 3))
    np.testing.assert_allclose(found.ravel() ** 2, [1, 2.5, 5.75], rtol=1e-6)


def test_ewma_forgets_at_its_rate():
    """Of RiskMetrics's 0.94 half is forgotten after 11.2 days."""
    found = baselines.ewma(0, decay=0.94)(one(1, *[0] * 30)).ravel() ** 2
    assert found[11] > 0.5 > found[12]


def test_moving_rms_by_hand():
    found = baselines.moving_rms(0, 2)(one(3, -4, 0))
    np.testing.assert_allclose(found.ravel() ** 2, [9, 12.5, 8], rtol=1e-6)


def test_delayed_repeats_the_first_value_before_the_start():
    assert baselines.delayed(0, 2)(one(1, 2, 3, 4)).ravel().tolist() == [1, 1, 1, 2]


def test_autoregression_sees_what_it_is_told(processes):
    """Only the size of the newest value, not its sign: no better than the mean."""
    train, validation, test = processes
    blind = baselines.ridge_autoregression(
        train, validation, lags=5, residual_of=None, features=lambda frames: np.abs(frames)
    )
    constant = value_score(baselines.constant(train), test, 4, "").value
    assert value_score(blind, test, 4, "").value == pytest.approx(constant, rel=0.01)
