"""Models of random weights, as graphs and in training: what they cost does not need data."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from edgeseq.contract import Contract, Form
from edgeseq.export import build_graph
from edgeseq.graph.build import read_contract
from edgeseq.models import SequenceModel
from edgeseq.tasks import Task, load_task
from edgeseq.train.determinism import seed_torch
from edgeseq.workflows.producer import producer
from edgeseq.workflows.train import TrainRequest, requested_spec

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Untrained:
    """A model with the weights that training would start from."""

    task: Task
    model: SequenceModel

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def frames(self, length: int, *, seed: int = 0) -> Array:
        """Draw frames `(T, F)`: tokens, or values of the spread that the model expects."""
        rng, frame = np.random.default_rng(seed), self.task.frame
        if frame.vocabulary:
            return rng.integers(len(frame.vocabulary), size=(length, 1)).astype(np.float32)
        normal = rng.standard_normal((length, frame.size)).astype(np.float32)
        frames: Array = normal * self.model.input_std.numpy() + self.model.input_mean.numpy()
        return frames

    def write(
        self,
        file: Path,
        form: Form,
        *,
        frames: int | Literal["T"] = "T",
        streams: int | Literal["N"] = "N",
    ) -> tuple[Path, Any, Contract]:
        """Write the graph as export does, also with fixed sizes; return file, graph, contract.

        One frame a call gets the newest operators.
        """
        graph = build_graph(
            self.model, self.task.frame, self.task.output,
            form=form, streams=streams, frames=frames, newest=form == "step" and frames == 1,
            producer=producer(), recipe="streaming-fp32",
        )  # fmt: skip
        file.write_bytes(graph.SerializeToString())
        contract = read_contract(graph, str(file))
        assert contract is not None  # build_graph has written it
        return file, graph, contract


def untrained(settings: Mapping[str, Any], **sizes: Any) -> Untrained:  # noqa: ANN401 - any size
    """Return the model of `settings`: `family`, `params`, `task`, and `sizes` of its own, if any.

    Its units are such that normalisation stays in the graph, as in one that is trained.

    Raises:
        UsageError: there is no such task, family, or size.
    """
    task = load_task(settings["task"])
    own = {**settings.get("sizes", {}), **sizes}
    request = TrainRequest(settings["task"], settings["family"], settings["params"], sizes=own)
    spec, output, vocabulary = (
        requested_spec(task, request),
        task.output,
        len(task.frame.vocabulary),
    )
    with torch.random.fork_rng():
        seed_torch(settings.get("seed", 0))
        model = SequenceModel(
            spec, task.frame.size, len(output.labels), output.residual_of, vocabulary
        )
        if not vocabulary:
            model.input_mean.normal_()
            model.input_std.uniform_(0.5, 2.0)
    return Untrained(task, model.eval())
