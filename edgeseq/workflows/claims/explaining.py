"""Cells that explain: how far what is inside a model agrees with what leaving frames out shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.explain.explanation import METHODS, Explanation
from edgeseq.tasks import load_task
from edgeseq.train.predict import predictor
from edgeseq.workflows.claims.training import trained
from edgeseq.workflows.explain import Asked, Subject, explain

NAMES = {
    "gates": "gates", "attention": "attention",
    "gradient x input": "gradient", "integrated gradients": "integrated",
}  # fmt: skip


def explained(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the mean partial rank correlation with occlusion, %, by method, of test windows.

    Settings: those of a training, and `inputs`: how many windows. With `picture` what is inside
    for the first of them comes along: the forget gates of the last layer, units by frames, or its
    attention, frames by frames, and the importance by occlusion.
    """
    checkpoint, task = trained(settings, folder), load_task(settings["task"])
    subject = Subject(
        source="a training", family=checkpoint.family, frame=task.frame, output=task.output,
        predict=predictor(checkpoint.model), model=checkpoint.model,
    )  # fmt: skip
    found: dict[str, list[float]] = {}
    picture: dict[str, Any] = {}
    for frames in _windows(settings, task.split(settings["fold"]).test, task.window):
        explanation = explain(subject, frames, Asked(methods=METHODS), input="a test window")
        if settings.get("picture") and not picture:
            picture = _picture(explanation)
        for name, agreement in explanation.agreements().items():
            if name in NAMES and agreement.beyond is not None:
                found.setdefault(NAMES[name], []).append(100 * agreement.beyond)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return {**means, "inputs": max(map(len, found.values()), default=0), **picture}


UNITS = 12
"""Of a layer that are shown, the ones that vary most."""


def _picture(explanation: Explanation) -> dict[str, Any]:
    picture: dict[str, Any] = {"label": explanation.target.label}
    if explanation.occlusion:
        picture["occlusion"] = _short(explanation.occlusion.importance, 3)
    if explanation.gates:
        kept = explanation.gates[-1].kept()  # (T, H)
        shown = np.sort(np.argsort(-kept.std(0), kind="stable")[:UNITS])
        picture["kept"] = [_short(kept[:, unit]) for unit in shown]
    if explanation.attention:
        picture["attended"] = [_short(row) for row in explanation.attention[-1].flow()]
    return picture


def _short(values: NDArray[np.float64], digits: int = 2) -> list[float]:
    return [round(float(value), digits) for value in values]


def _windows(settings: Mapping[str, Any], test: Any, window: int | None) -> list[Any]:  # noqa: ANN401
    """Return stretches of test recordings, drawn by the training's seed."""
    rng = np.random.default_rng([settings["seed"], 5])
    chosen = rng.choice(len(test), settings["inputs"], replace=len(test) < settings["inputs"])
    stretches = []
    for recording in (test[index] for index in chosen):
        length = min(window or len(recording.frames), len(recording.frames))
        start = int(rng.integers(len(recording.frames) - length + 1))
        stretches.append(recording.frames[start : start + length])
    return stretches
