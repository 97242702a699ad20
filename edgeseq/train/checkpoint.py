"""A trained model on disk: `weights.safetensors` and `run.json`, never pickle.

A run that is not finished also has `resume.safetensors`, see `edgeseq.train.state`.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from edgeseq import files
from edgeseq.errors import CheckpointError, ConfigError
from edgeseq.families import FAMILIES
from edgeseq.models import SequenceModel, Spec, load_family
from edgeseq.specs import parse
from edgeseq.tasks import restored_name, stored_name
from edgeseq.tasks.base import Score
from edgeseq.train.settings import FitSettings

SCHEMA = 1
WEIGHTS, RUN, RESUME = "weights.safetensors", "run.json", "resume.safetensors"


@dataclass(frozen=True)
class Look:
    """One look at the validation split during training."""

    step: int
    train_loss: float
    """Mean over the steps since the look before."""
    validation: float
    """The task's score, in its own unit."""


@dataclass(frozen=True)
class Tuned:
    """That weights were fine-tuned with the rounding of a quantized file; they are still fp32."""

    recipe: str
    """Whose arithmetic they were tuned for."""
    arithmetic: dict[str, Any]
    """What the rounding followed, of that recipe's `[quantize]`."""
    weights_sha256: str
    """The weights that it went on from."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model and how it came to be."""

    model: SequenceModel
    task: str
    """What `load_task` takes."""
    settings: FitSettings
    scores: dict[str, Score]
    """`validation`: of the best look, before its people joined the training, and missing where it \
was tuned; `test`: at the end, with the rounding that it was tuned for."""
    history: tuple[Look, ...] = ()
    best_step: int = 0
    """The look whose weights the refit went on from."""
    seconds: float = 0.0
    """Time spent training, looks included."""
    versions: dict[str, str] = field(default_factory=dict)
    tuned: Tuned | None = None

    @property
    def spec(self) -> Spec:
        """Sizes of the model."""
        return self.model.spec

    @property
    def family(self) -> str:
        """Name of the model's family."""
        return self.spec.family

    @property
    def fold(self) -> int:
        """The split it was trained on."""
        return self.settings.fold

    @property
    def seed(self) -> int:
        """The seed it was trained with."""
        return self.settings.seed

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def weights(self) -> bytes:
        """Return what `weights.safetensors` holds."""
        state = self.model.state_dict()
        tensors = {name: value.cpu().contiguous() for name, value in state.items()}
        return safetensors.torch.save(tensors)

    def save(self, run_dir: Path) -> None:
        """Write the checkpoint into `run_dir`, each file atomically, and end the run.

        `run.json` comes last and names the weights by hash, so a kill between the two files is
        noticed; the run can then still be resumed, because its state is removed only after both.
        """
        files.write_bytes(run_dir / WEIGHTS, self.weights())
        files.write_json(run_dir / RUN, self._table(run_dir))
        (run_dir / RESUME).unlink(missing_ok=True)

    def _table(self, run_dir: Path) -> dict[str, Any]:
        model = self.model
        return {
            "schema": SCHEMA,
            "task": stored_name(self.task, run_dir),
            "family": self.family,
            "spec": dataclasses.asdict(self.spec),
            "inputs": len(model.input_mean),
            "outputs": len(model.output_mean),
            "residual_of": model.residual_of,
            "vocabulary": model.vocabulary,
            "parameters": self.parameters,
            "fold": self.fold,
            "seed": self.seed,
            "scores": {name: dataclasses.asdict(score) for name, score in self.scores.items()},
            "best_step": self.best_step,
            "seconds": round(self.seconds, 2),
            "settings": dataclasses.asdict(self.settings),
            "versions": self.versions,
            "tuned": dataclasses.asdict(self.tuned) if self.tuned else None,
            "weights_sha256": files.sha256(run_dir / WEIGHTS),
            "history": [dataclasses.asdict(look) for look in self.history],
        }


def load_checkpoint(run_dir: Path) -> Checkpoint:
    """Read the finished run in `run_dir`; raise `CheckpointError` where there is none."""
    table = _read_run(run_dir)
    where = run_dir / RUN
    try:
        model = _load_model(run_dir, table)
        return Checkpoint(
            model=model,
            task=restored_name(table["task"], run_dir),
            settings=parse(table["settings"], FitSettings, where=str(where)),
            scores={
                name: parse(score, Score, where=str(where))
                for name, score in table["scores"].items()
            },
            history=tuple(Look(**look) for look in table["history"]),
            best_step=table["best_step"],
            seconds=table["seconds"],
            versions=table["versions"],
            tuned=Tuned(**table["tuned"]) if table.get("tuned") else None,
        )
    except (ConfigError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{where} is damaged: {reason}. Train again") from None


def _read_run(run_dir: Path) -> dict[str, Any]:
    try:
        table = json.loads((run_dir / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(_no_run(run_dir)) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {run_dir / RUN}: {error}. Train again") from None
    if not isinstance(table, dict) or table.get("schema") != SCHEMA:
        version = table.get("schema") if isinstance(table, dict) else None
        raise CheckpointError(
            f"{run_dir / RUN}: schema {version!r} is unknown; this edgeseq reads schema {SCHEMA}. "
            "Upgrade edgeseq, or train again"
        )
    return table


def _no_run(run_dir: Path) -> str:
    if (run_dir / RESUME).exists():
        return (
            f"{run_dir} holds a training run that is not finished. "
            "Continue it: type its edgeseq train command again with --resume"
        )
    return f"{run_dir} holds no training run. Make one: edgeseq train TASK -o {run_dir}"


def _load_model(run_dir: Path, table: dict[str, Any]) -> SequenceModel:
    path = run_dir / WEIGHTS
    try:
        digest = files.sha256(path)
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {error}. Train again") from None
    if digest != table["weights_sha256"]:
        raise CheckpointError(
            f"{path} is not the file that {RUN} names (its SHA-256 differs). Train again"
            + (", with --resume" if (run_dir / RESUME).exists() else "")
        )
    if table["family"] not in FAMILIES:
        raise CheckpointError(
            f"{run_dir / RUN}: unknown family {table['family']!r}; known: {', '.join(FAMILIES)}"
        )
    family = load_family(table["family"])
    spec = parse(table["spec"], family.spec, where=str(run_dir / RUN))
    ends = (table["inputs"], table["outputs"], table["residual_of"], table.get("vocabulary", 0))
    model = SequenceModel(spec, *ends)
    model.load_state_dict(tensors)
    return model.eval()
