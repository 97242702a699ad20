"""Training as the command line asks for it: sizes, settings, and the baselines beside the score."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeseq.errors import ConfigError, UsageError
from edgeseq.models import Spec
from edgeseq.recipes import load_quantization
from edgeseq.specs import parse
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Score, Task
from edgeseq.train.checkpoint import Checkpoint, load_checkpoint
from edgeseq.train.defaults import default_settings, default_spec
from edgeseq.train.fit import fit
from edgeseq.train.predict import predictor
from edgeseq.train.qat import quantized_twin, tune, tuning_settings
from edgeseq.train.run import Progress
from edgeseq.workflows.accuracy import baselines


@dataclass(frozen=True)
class TrainRequest:
    """What `edgeseq train` was asked for; none: the default that suits task and family."""

    task: str = "har"
    model: str = "lstm"
    params: int = 50_000
    sizes: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Explicit sizes, by the names of the family's spec; they override `params`."""
    seed: int = 0
    fold: int = 0
    steps: int | None = None
    accelerator: Literal["cpu", "cuda"] = "cpu"
    resume: bool = False


@dataclass(frozen=True)
class TuneRequest:
    """What `edgeseq train RUN --qat` was asked for; none: as `tuning_settings` say."""

    run: Path
    """A finished run; it stays as it is."""
    recipe: str = "int8-dynamic"
    steps: int | None = None
    accelerator: Literal["cpu", "cuda"] | None = None
    resume: bool = False

    @property
    def default_out(self) -> Path:
        """Where the result goes if nobody says."""
        return self.run.with_name(f"{self.run.resolve().name}-qat")


@dataclass(frozen=True)
class TrainReport:
    """A trained model's test score and what stands beside it."""

    run: Path
    checkpoint: Checkpoint
    baselines: dict[str, Score]
    before: dict[str, Score] = dataclasses.field(default_factory=dict)
    """Of the weights that a fine-tuning went on from: in fp32, and rounded as it rounds."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        checkpoint = self.checkpoint
        return {
            "run": str(self.run),
            "task": checkpoint.task,
            "family": checkpoint.family,
            "spec": dataclasses.asdict(checkpoint.spec),
            "parameters": checkpoint.parameters,
            "fold": checkpoint.fold,
            "seed": checkpoint.seed,
            "seconds": round(checkpoint.seconds, 2),
            "scores": {name: dataclasses.asdict(s) for name, s in checkpoint.scores.items()},
            "baselines": {name: dataclasses.asdict(s) for name, s in self.baselines.items()},
            "tuned_for": checkpoint.tuned.recipe if checkpoint.tuned else None,
            "before": {name: dataclasses.asdict(s) for name, s in self.before.items()},
        }


def train(request: TrainRequest, out: Path, *, progress: Progress | None = None) -> TrainReport:
    """Train a model, or go on with the run in `out`; score it beside the task's baselines."""
    task = load_task(request.task)
    if not 0 <= request.fold < task.folds:
        raise UsageError(f"{request.task} has folds 0 to {task.folds - 1}, not {request.fold}")
    spec = requested_spec(task, request)
    changes = {"steps": request.steps} if request.steps else {}
    settings = default_settings(
        task,
        request.model,
        seed=request.seed,
        fold=request.fold,
        accelerator=request.accelerator,
        **changes,
    )
    checkpoint = fit(task, spec, settings, out, resume=request.resume, progress=progress)
    return TrainReport(out, checkpoint, baselines(request.task, request.fold))


def fine_tune(request: TuneRequest, out: Path, *, progress: Progress | None = None) -> TrainReport:
    """Fine-tune a run for a recipe's arithmetic, or go on in `out`; score it beside what it was."""
    if out.resolve() == request.run.resolve():
        raise UsageError(f"{out} is the run to fine-tune, which stays; give another -o")
    checkpoint, (recipe, how) = load_checkpoint(request.run), load_quantization(request.recipe)
    changes = {"steps": request.steps, "accelerator": request.accelerator}
    settings = tuning_settings(
        checkpoint.settings, **{name: value for name, value in changes.items() if value}
    )
    task = load_task(checkpoint.task)
    tuned = tune(
        task, checkpoint, recipe.name, how, settings, out, resume=request.resume, progress=progress
    )
    rounded = predictor(quantized_twin(checkpoint.model, how))
    test = task.split(checkpoint.fold).test
    before = {
        "before, fp32": checkpoint.scores["test"],
        f"before, {recipe.name}": task.score(rounded, test),
    }
    return TrainReport(out, tuned, baselines(checkpoint.task, checkpoint.fold), before)


def requested_spec(task: Task, request: TrainRequest) -> Spec:
    """Return the model that suits `task` and `params`, with the explicit sizes in place of its own.

    Raises:
        UsageError: the family has no such size, or it makes no model.
    """
    default = default_spec(task, request.model, request.params, **request.sizes)
    kind = type(default)
    allowed = sorted(field.name for field in dataclasses.fields(kind))
    for name in sorted(request.sizes.keys() - {*allowed}):
        raise UsageError(f"{name} is no size of a {request.model}; it has: {', '.join(allowed)}")
    sizes = dict(request.sizes)
    if "width" in sizes and "feed_forward" in allowed:
        sizes.setdefault("feed_forward", 4 * sizes["width"])
    try:
        return parse({**dataclasses.asdict(default), **sizes}, kind, where=request.model)
    except ConfigError as error:
        raise UsageError("; ".join(error.mistakes)) from None
