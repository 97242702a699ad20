"""What an interrupted run needs to go on: `resume.safetensors`, one file written atomically.

Weights, best weights and optimizer moments are tensors; everything else is JSON in the file's
metadata. There is no generator state: every random number is a function of seed and step.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from edgeseq import files
from edgeseq.errors import CheckpointError
from edgeseq.train.checkpoint import RESUME

_KEY = "edgeseq.resume"
VERSION = 1


@dataclass(frozen=True)
class RunState:
    """A run after `progress["step"]` steps."""

    identity: dict[str, Any]
    """Task, family, spec, settings and versions: a run may go on only as what it was."""
    progress: dict[str, Any]
    """Step, history, best look, seconds."""
    tensors: dict[str, Tensor]

    def save(self, run_dir: Path) -> None:
        """Write the state; a kill leaves the state before or this one."""
        table = {"version": VERSION, "identity": self.identity, "progress": self.progress}
        tensors = {name: value.cpu().contiguous() for name, value in self.tensors.items()}
        data = safetensors.torch.save(tensors, metadata={_KEY: json.dumps(table)})
        files.write_bytes(run_dir / RESUME, data)


def load_state(run_dir: Path, identity: dict[str, Any]) -> RunState | None:
    """Return the state of the unfinished run in `run_dir`, or none; it must be `identity`'s."""
    path = run_dir / RESUME
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            table = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = RunState(table["identity"], table["progress"], tensors)
        version = table["version"]
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"cannot resume from {path}: it is damaged ({error}). Train again without --resume"
        ) from None
    if version != VERSION:
        raise CheckpointError(
            f"cannot resume from {path}: version {version!r} is unknown; this edgeseq reads "
            f"version {VERSION}. Train again without --resume"
        )
    require_same(path, state.identity, identity)
    return state


def require_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise `CheckpointError` naming every way in which the run at `path` is not the `new` one."""
    differing = _differences(old, new)
    if differing:
        raise CheckpointError(
            f"cannot resume from {path}: it was started with {'; '.join(differing)}. "
            "Give the same options, or train again without --resume"
        )


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return one `key = old, not new` for every leaf that differs."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key} = {a}, not {b}")
    return found
