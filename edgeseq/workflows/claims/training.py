"""Cells that are trainings: fit, judge on the test recordings, and what a broken model gives.

Deterministic: on one kind of machine the same settings give the same numbers, bit for bit. A run
is kept in the folder under the key of its training, so that what needs its weights finds them, and
an interrupted one goes on; elsewhere it is trained again.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeseq.claims.cell import Cell
from edgeseq.errors import UsageError
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Predict, Task
from edgeseq.workflows.claims.thin import Thinned, shuffled

if TYPE_CHECKING:
    from edgeseq.tasks.base import Array
    from edgeseq.train import Checkpoint

Settings = Mapping[str, Any]
RECIPE = "int8-dynamic"
SIZES = ("positions", "window")
"""Settings that are sizes of the model."""


def train(settings: Settings, folder: Path) -> dict[str, Any]:
    """Return the test score of a training.

    Settings: `task`, `family`, `params`, `fold`, `seed`, `lr`, `length` (times the task's own
    number of steps), and as they are wanted `share` of the training set, `positions`, `window`,
    `broken`: `labels` (shuffled before training), `state` (not fed back when judged), `positions`
    (removed when judged).
    """
    checkpoint = trained(settings, folder)
    test = checkpoint.scores["test"]
    broken = settings.get("broken", "")
    if broken in ("state", "positions"):
        task = load_task(settings["task"])
        predict = _BROKEN[broken](checkpoint)
        test = task.score(predict, task.split(settings["fold"]).test)
    return {
        "metric": test.metric,
        "higher_is_better": test.higher_is_better,
        "value": test.value,
        "validation": checkpoint.scores["validation"].value,
        "parameters": checkpoint.parameters,
        "steps": checkpoint.settings.steps,
        "subjects": {name: round(value, 3) for name, value in test.per_subject.items()},
    }


def tune(settings: Settings, folder: Path) -> dict[str, Any]:
    """Return the validation score of a training of the search; the test is not looked at."""
    validation = trained(settings, folder, refit=0.0).scores["validation"]
    return {
        "metric": validation.metric,
        "higher_is_better": validation.higher_is_better,
        "validation": validation.value,
    }


def quantized(settings: Settings, folder: Path) -> dict[str, Any]:
    """Return the scores of a training's graph for one frame a call and of its int8 twin."""
    checkpoint = trained(settings, folder)
    scores = graph_scores(checkpoint, load_task(settings["task"]))
    test = checkpoint.scores["test"]
    return {
        "metric": test.metric,
        "higher_is_better": test.higher_is_better,
        "fp32": scores.fp32,
        "int8": scores.int8,
        "bytes": [scores.fp32_bytes, scores.int8_bytes],
    }


@dataclass(frozen=True)
class GraphScores:
    """Test scores of a run's graph for one frame a call, played frame by frame as an app does."""

    fp32: float
    int8: float
    fp32_bytes: int
    int8_bytes: int
    """Sizes of the files."""


def graph_scores(checkpoint: "Checkpoint", task: Task) -> GraphScores:
    """Write a run's graph for one frame a call and its int8 twin, and judge both."""
    from edgeseq.export import build_graph
    from edgeseq.quantize.file import quantize_file
    from edgeseq.recipes import load_recipe
    from edgeseq.runtime import StreamModel
    from edgeseq.tasks.base import stream
    from edgeseq.workflows.evidence import Evidence

    test = task.split(checkpoint.fold).test
    evidence = Evidence(stream(test, 1), task, test)
    graph = build_graph(
        checkpoint.model, task.frame, task.output,
        frames=1, newest=True, producer="edgeseq claims", recipe="streaming-fp32",
    )  # fmt: skip
    scores = []
    with tempfile.TemporaryDirectory() as temporary:
        files = [Path(temporary) / f"{name}.onnx" for name in ("fp32", "int8")]
        files[0].write_bytes(graph.SerializeToString())
        quantize_file(files[0], files[1], load_recipe(RECIPE))
        for path in files:
            losses = evidence.losses(StreamModel.load(path))
            assert losses is not None  # a step graph can always be scored
            scores.append(losses.value)
        fp32_bytes, int8_bytes = (path.stat().st_size for path in files)
        return GraphScores(scores[0], scores[1], fp32_bytes, int8_bytes)


def trained(settings: Settings, folder: Path, **changes: Any) -> "Checkpoint":  # noqa: ANN401
    """Return the run of a cell: the one in `folder`, or a new one."""
    from edgeseq.train import FitSettings, default_settings, fit
    from edgeseq.workflows.train import TrainRequest, requested_spec

    task = load_task(settings["task"])
    sizes = {name: settings[name] for name in SIZES if name in settings}
    request = TrainRequest(settings["task"], settings["family"], settings["params"], sizes)
    spec = requested_spec(task, request)
    steps = round(settings["length"] * int(task.training.get("steps", FitSettings.steps)))
    how = default_settings(
        task, settings["family"],
        fold=settings["fold"], seed=settings["seed"], lr=settings["lr"], steps=steps, **changes,
    )  # fmt: skip
    own = {name: value for name, value in settings.items() if not _judged(name, value)}
    run = folder / "runs" / Cell("train", {**own, **changes}).key
    return fit(_changed(task, settings), spec, how, run, resume=True)


def _judged(name: str, value: Any) -> bool:  # noqa: ANN401 - a JSON value
    """Say whether a setting changes how a training is judged, and not the training."""
    return name in ("inputs", "picture") or (name == "broken" and value != "labels")


def _changed(task: Task, settings: Settings) -> Task:
    """Return the task with the training data that the cell asks for."""
    if "share" in settings:
        task = Thinned(task, settings["share"], settings["seed"])
    return shuffled(task) if settings.get("broken") == "labels" else task


def _forgetful(checkpoint: "Checkpoint") -> Predict:
    """Return a model whose state is not fed back: each frame is its first."""
    from edgeseq.train.predict import predictor

    predict = predictor(checkpoint.model)

    def alone(frames: "Array") -> "Array":
        streams, length, size = frames.shape
        outputs = predict(np.ascontiguousarray(frames.reshape(streams * length, 1, size)))
        return outputs.reshape(streams, length, -1)

    return alone


def _placeless(checkpoint: "Checkpoint") -> Predict:
    """Return a model whose positions are removed after training."""
    from edgeseq.models import SequenceModel
    from edgeseq.train.predict import predictor

    old = checkpoint.model
    if getattr(old.spec, "positions", "none") == "none":
        raise UsageError(f"a model of the family {old.spec.family} has no positions to remove")
    new = SequenceModel(
        replace(old.spec, positions="none"),  # type: ignore[call-arg]
        len(old.input_mean), len(old.output_mean), old.residual_of, old.vocabulary,
    )  # fmt: skip
    kept = new.state_dict().keys()
    new.load_state_dict({name: value for name, value in old.state_dict().items() if name in kept})
    return predictor(new)


_BROKEN = {"state": _forgetful, "positions": _placeless}
