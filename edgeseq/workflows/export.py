"""A training run → a bundle: graphs, reference, and the parity gate every graph must pass."""

import copy
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeseq import files
from edgeseq.bundle import (
    REFERENCE,
    Bundle,
    Manifest,
    Origin,
    Reference,
    Variant,
    load_bundle,
    write_manifest,
)
from edgeseq.check.parity import Decide, compare, decision_rule
from edgeseq.contract import Form
from edgeseq.errors import PromiseError, UsageError
from edgeseq.export import build_graph
from edgeseq.measured import Accuracy, Parity
from edgeseq.models import SequenceModel
from edgeseq.recipes import load_recipe
from edgeseq.runtime import StreamModel
from edgeseq.tasks import load_task, stored_name
from edgeseq.tasks.base import Array, stream
from edgeseq.train.checkpoint import Checkpoint, load_checkpoint
from edgeseq.workflows.accuracy import as_accuracy, baselines, judge, scorable
from edgeseq.workflows.evidence import as_streams, bounded, frame_by_frame
from edgeseq.workflows.producer import producer

REFERENCE_FRAMES = 1024
"""Fewest frames of the reference; never fewer than two calls, so that a state is carried."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportSettings:
    """What `edgeseq export` was asked for."""

    form: Form = "step"
    """What a call computes; see `edgeseq.contract.Form`."""
    streams: int | None = None
    """A fixed number of streams, for compilers that need one."""
    frames: int | None = None
    """A fixed number of frames a call, likewise."""
    recipe: str = "streaming-fp32"


def export_run(
    run: Path,
    out: Path,
    settings: ExportSettings | None = None,
    *,
    progress: Progress | None = None,
) -> Bundle:
    """Export the finished training run `run` as the bundle `out`; an older one survives a failure.

    Raises:
        PromiseError: a graph did not give what PyTorch gives; nothing was written.
        UsageError: the recipe is not one for export.
    """
    export = _Export(load_checkpoint(run), settings or ExportSettings(), progress)
    with files.staged_directory(out) as folder:
        write_manifest(folder, export.write(folder))
    return load_bundle(out)


class _Export:
    """One export: what it needs, loaded once."""

    def __init__(
        self, checkpoint: Checkpoint, settings: ExportSettings, progress: Progress | None
    ) -> None:
        self.checkpoint, self.settings = checkpoint, settings
        self.model = checkpoint.model
        # In double precision: PyTorch's own fp32 LSTM rounds more than ONNX Runtime's, so that
        # the gate would measure the wrong one.
        self.exact = copy.deepcopy(checkpoint.model).double()
        self.task = load_task(checkpoint.task)
        self.test = self.task.split(checkpoint.fold).test
        self.recipe = load_recipe(settings.recipe)
        if self.recipe.quantize is not None:
            raise UsageError(
                f'the recipe "{self.recipe.name}" quantizes a bundle that is there; export first, '
                f"then: edgeseq quantize BUNDLE --recipe {settings.recipe}"
            )
        self.say = progress or (lambda _: None)

    def write(self, folder: Path) -> Manifest:
        """Write graphs and reference into `folder`; return the manifest that goes with them."""
        reference = self._reference(folder)
        variants = {"fp32": self._variant(folder, "fp32", self.settings.frames or "T")}
        if self._has_step():
            variants["step"] = self._variant(folder, "step", 1, newest=True)
        return Manifest(
            name=f"{Path(self.task.name).stem}-{self.checkpoint.family}",
            producer=producer(),
            origin=self._origin(folder),
            reference=reference,
            variants=variants,
            preferred="fp32",
            preferred_because="no other precision is in this bundle",
        )

    def _has_step(self) -> bool:
        """Say whether one frame a call gets a graph of its own, which is faster in every family.

        An LSTM's is a node less a layer, a GRU's int8 twin has no loop, a Transformer's has newer
        operators.
        """
        settings = self.settings
        return settings.form == "step" and settings.streams is None and settings.frames is None

    def _variant(
        self, folder: Path, name: str, frames: "int | str", *, newest: bool = False
    ) -> Variant:
        graph = build_graph(
            self.model,
            self.task.frame,
            self.task.output,
            form=self.settings.form,
            streams=self.settings.streams or "N",
            frames=frames,
            newest=newest,
            producer=producer(),
            recipe=self.recipe.name,
        )
        file = folder / ("model.onnx" if name == "fp32" else f"model.{name}.onnx")
        files.write_bytes(file, graph.SerializeToString())
        loaded = StreamModel.load(file)
        parity = self._gate(loaded, name)
        return Variant(
            file=file.name,
            sha256=files.sha256(file),
            bytes=file.stat().st_size,
            precision="fp32",
            opset=graph.opset_import[0].version,
            operators=dict(Counter(node.op_type for node in graph.graph.node)),
            contract=loaded.contract,
            tolerance=self.recipe.tolerance,
            parity=parity,
            accuracy=self._accuracy(loaded),
        )

    def _accuracy(self, loaded: StreamModel) -> Accuracy | None:
        if not scorable(loaded.contract, self.task):
            return None
        return as_accuracy(judge(loaded, self.task, self.test))

    def _gate(self, loaded: StreamModel, name: str) -> Parity:
        """Stream real frames through ONNX Runtime; raise unless it says what PyTorch says."""
        contract = loaded.contract
        steps = max(bounded(self.recipe.gate_steps, contract), contract.chunk_min)
        self.say(f"{name}: {steps:,} frames against PyTorch")
        frames = as_streams(stream(self.test, steps), loaded.contract)  # (N, T, F)
        decide = decision_rule(self.task.frame, self.task.output)
        parity = parity_with(self.exact, loaded, frames, decide)
        limit = self.recipe.tolerance.relative_error
        if not parity.relative_error <= limit:
            raise PromiseError(
                f"the {name} graph differs from PyTorch by {parity.relative_error:.1e} of the "
                f"outputs' RMS at frame {parity.at_step} (limit {limit:.0e}); nothing was written"
            )
        return parity

    def _reference(self, folder: Path) -> Reference:
        """Write real frames, the whole-sequence outputs of PyTorch, and its final state."""
        self.say("reference")
        frames = stream(self.test, max(REFERENCE_FRAMES, 2 * (self.settings.frames or 1)))
        with torch.inference_mode():
            whole = torch.from_numpy(frames)[None].double()  # (1, T, F)
            outputs = self.exact(whole)[0].float().numpy()
            state = self.exact.final_state(whole, self.settings.form)
        arrays = {"frames": frames, "outputs": outputs}
        arrays |= {f"state.{name}": _single(tensor) for name, tensor in state.items()}
        memory = io.BytesIO()
        np.savez_compressed(memory, **arrays)
        files.write_bytes(folder / REFERENCE, memory.getvalue())
        return Reference(
            sha256=files.sha256(folder / REFERENCE),
            frames=len(frames),
            source=f"{self.task.name}, test recordings of fold {self.checkpoint.fold}",
        )

    def _origin(self, folder: Path) -> Origin:
        self.say("baselines")
        checkpoint = self.checkpoint
        beside = baselines(checkpoint.task, checkpoint.fold)
        return Origin(
            task=stored_name(checkpoint.task, folder),
            fold=checkpoint.fold,
            seed=checkpoint.seed,
            family=checkpoint.family,
            parameters=checkpoint.parameters,
            baselines={name: as_accuracy(score) for name, score in beside.items()},
            tuned_for=checkpoint.tuned.recipe if checkpoint.tuned else None,
        )


def parity_with(
    exact: SequenceModel, loaded: StreamModel, frames: Array, decide: Decide | None
) -> Parity:
    """Compare what a graph streams of frames `(N, T, F)` with PyTorch's whole-sequence outputs.

    Args:
        exact: the model in double precision.
        loaded: its graph.
        frames: one long stream, or sequences for a graph without state.
        decide: outputs to decisions; none: there are none.
    """
    with torch.inference_mode():
        whole = exact(torch.from_numpy(frames).double()).float().numpy()
    streamed = frame_by_frame(loaded, frames)
    channels = whole.shape[-1]
    return compare(whole.reshape(-1, channels), streamed.reshape(-1, channels), decide)


def _single(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a state as a graph holds it: reals in fp32, counters as they are."""
    array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array
