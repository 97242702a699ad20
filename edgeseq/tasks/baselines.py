"""The predictors that stand beside every model: trivial ones, and ones that are hard to beat.

All of them are `Predict` functions, so they are scored on the same windows as the networks.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.extras import require
from edgeseq.tasks.augment import unstack
from edgeseq.tasks.base import UNKNOWN, Array, Predict
from edgeseq.tasks.scoring import Windows, window_classes

TREES = 300
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STIFFNESS = 0.1
"""Inverse penalty of the logistic regression, whose values are standardised."""
PENALTIES = tuple(10.0**power for power in range(-4, 5))

Features = Callable[[Array], NDArray[np.float64]]
"""Frames `(N, T, F)` → what is known at each of them, `(N, T, D)`."""


def majority(train: Windows, classes: int) -> Predict:
    """Always decide for the most frequent class of the training windows."""
    truth = window_classes(train.target, classes)
    shares = np.bincount(truth[truth != UNKNOWN], minlength=classes).astype(np.float32)
    return lambda frames: np.broadcast_to(shares, (*frames.shape[:2], classes))


def random_forest(train: Windows, classes: int, channels: int) -> Predict:
    """Fit a random forest (Breiman 2001) on statistics of whole windows."""
    ensemble = require("sklearn.ensemble")
    truth = window_classes(train.target, classes)
    known = truth != UNKNOWN
    forest = ensemble.RandomForestClassifier(TREES, random_state=0, n_jobs=1)
    forest.fit(window_statistics(train.frames[known], channels), truth[known])

    def predict(frames: Array) -> Array:
        outputs = np.zeros((len(frames), classes), np.float32)
        shares = forest.predict_proba(window_statistics(frames, channels))
        outputs[:, forest.classes_] = shares
        return np.broadcast_to(outputs[:, None], (*frames.shape[:2], classes))

    return predict


def logistic_regression(train: Windows, classes: int, _: int) -> Predict:
    """Fit a logistic regression on all values of whole windows."""
    model = require("sklearn.linear_model").LogisticRegression(C=STIFFNESS, max_iter=1000)
    return _on_values(model, train, classes)


def support_vectors(train: Windows, classes: int, _: int) -> Predict:
    """Fit a support vector machine (Cortes & Vapnik 1995), Gaussian kernel, on all values."""
    return _on_values(require("sklearn.svm").SVC(C=10.0), train, classes)


def _on_values(model: Any, train: Windows, classes: int) -> Predict:  # noqa: ANN401
    """Fit a scikit-learn classifier on standardised, flattened windows."""
    truth = window_classes(train.target, classes)
    known = truth != UNKNOWN
    scaler = require("sklearn.preprocessing").StandardScaler()
    model.fit(scaler.fit_transform(_flat(train.frames[known])), truth[known])

    def predict(frames: Array) -> Array:
        decided = np.eye(classes, dtype=np.float32)[model.predict(scaler.transform(_flat(frames)))]
        return np.broadcast_to(decided[:, None], (*frames.shape[:2], classes))

    return predict


def _flat(frames: Array) -> NDArray[np.float64]:
    return frames.reshape(len(frames), -1).astype(np.float64)


def window_statistics(frames: Array, channels: int) -> NDArray[np.float32]:
    """Describe windows `(N, L, F)` by the usual features of activity recognition → `(N, D)`.

    Per channel: mean, standard deviation, extremes, quantiles, energy, mean absolute change,
    crossings of the mean, dominant frequency, its share of the power, and spectral entropy;
    and the correlation of each pair of channels.
    """
    samples = unstack(frames, channels).astype(np.float64)  # (N, S, C)
    centred = samples - samples.mean(axis=1, keepdims=True)
    above = centred > 0
    features = [
        samples.mean(axis=1),
        samples.std(axis=1),
        samples.min(axis=1),
        samples.max(axis=1),
        *np.quantile(samples, QUANTILES, axis=1),
        (samples**2).mean(axis=1),
        np.abs(np.diff(samples, axis=1)).mean(axis=1),
        (above[:, 1:] != above[:, :-1]).mean(axis=1),
        *_spectrum(centred),
        _correlations(centred),
    ]
    return np.concatenate(features, axis=1).astype(np.float32)


def _spectrum(centred: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    """Return the dominant frequency (bin), its share of power, and the spectral entropy."""
    power = np.abs(np.fft.rfft(centred, axis=1)) ** 2 + 1e-12  # (N, S//2 + 1, C)
    share = power / power.sum(axis=1, keepdims=True)
    entropy = -(share * np.log(share)).sum(axis=1)
    return share.argmax(axis=1).astype(np.float64), share.max(axis=1), entropy


def _correlations(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of each pair of channels; zero where one is constant."""
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = centred / np.maximum(length, 1e-12)
    table: NDArray[np.float64] = np.einsum("nsi,nsj->nij", unit, unit)
    first, second = np.triu_indices(centred.shape[2], k=1)
    return table[:, first, second]


def constant(train: Windows) -> Predict:
    """Always predict the mean of the training targets."""
    mean = np.atleast_1d(np.nanmean(train.target, axis=(0, 1), dtype=np.float64))
    values = mean.astype(np.float32)
    return lambda frames: np.broadcast_to(values, (*frames.shape[:2], len(values)))


def persistence(value: int) -> Predict:
    """Predict that the frame's value number `value` stays as it is."""
    return lambda frames: frames[..., value : value + 1]


def moving_rms(value: int, frames: int) -> Predict:
    """Predict the root mean square of the frame's value number `value` over the last `frames`."""

    def predict(seen: Array) -> Array:
        recent = lagged(seen[..., value : value + 1], frames)
        rms: Array = np.sqrt((recent**2).mean(axis=-1, keepdims=True)).astype(np.float32)
        return rms

    return predict


def ewma(value: int, decay: float) -> Predict:
    """Predict the root of the exponentially weighted mean square of value number `value`.

    s[t] = decay s[t - 1] + (1 - decay) x[t]^2, from s[0] = x[0]^2 (RiskMetrics 1996).
    """

    def predict(seen: Array) -> Array:
        squares = seen[..., value].astype(np.float64) ** 2
        for index in range(1, squares.shape[1]):
            squares[:, index] *= 1 - decay
            squares[:, index] += decay * squares[:, index - 1]
        return np.sqrt(squares)[..., None].astype(np.float32)

    return predict


def delayed(value: int, frames: int) -> Predict:
    """Predict that the frame's value number `value` comes again as it was `frames` frames ago."""

    def predict(seen: Array) -> Array:
        padded = np.pad(seen[..., value : value + 1], ((0, 0), (frames, 0), (0, 0)), mode="edge")
        return padded[:, : seen.shape[1]]

    return predict


def ridge_autoregression(
    train: Windows,
    validation: Windows,
    *,
    lags: int,
    residual_of: int | None,
    features: Features | None = None,
) -> Predict:
    """Fit a linear prediction from the last `lags` frames with a ridge penalty (Hoerl 1970).

    It predicts the change from persistence where there is one. The penalty is chosen on
    `validation`; values are standardised; frames before the start repeat the first. `features`:
    what it is told at each frame instead, which may not need more than `lags` frames.
    """
    features = features or partial(lagged, lags=lags)
    rows, target = _equations(train, lags, residual_of, features)
    middle, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    bias = target.mean(axis=0)
    standard = (rows - middle) / scale
    gram, moment = standard.T @ standard, standard.T @ (target - bias)
    check, truth = _equations(validation, lags, residual_of, features)
    check = (check - middle) / scale
    fits = [np.linalg.solve(gram + penalty * np.eye(len(gram)), moment) for penalty in PENALTIES]
    weights = min(fits, key=lambda fit: float(np.abs(check @ fit + bias - truth).mean()))

    def predict(frames: Array) -> Array:
        outputs = (features(frames) - middle) / scale @ weights + bias
        values: Array = (outputs + _base(frames, residual_of)).astype(np.float32)
        return values

    return predict


def _equations(
    windows: Windows, lags: int, residual_of: int | None, features: Features
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features `(M, D)` and targets `(M, K)` of frames with a full past."""
    target = (windows.target - _base(windows.frames, residual_of))[:, lags - 1 :]
    known = ~np.isnan(target).any(axis=-1)
    return features(windows.frames)[:, lags - 1 :][known], target[known].astype(np.float64)


def lagged(frames: Array, lags: int) -> NDArray[np.float64]:
    """Put the last `lags` frames beside each frame: `(N, T, F)` → `(N, T, lags * F)`."""
    padded = np.pad(frames.astype(np.float64), ((0, 0), (lags - 1, 0), (0, 0)), mode="edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, lags, axis=1)  # (N, T, F, lags)
    return view.reshape(*frames.shape[:2], -1)


def _base(frames: Array, residual_of: int | None) -> Array | float:
    return 0.0 if residual_of is None else frames[..., residual_of : residual_of + 1]
