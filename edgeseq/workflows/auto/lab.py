"""Candidates of one fp32 file are made and judged here, each one once, whatever interrupts it."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.contract import SessionSettings
from edgeseq.errors import ModelError, PromiseError, UsageError
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.mix import quantization
from edgeseq.quantize.products import weight_sizes
from edgeseq.quantize.source import read
from edgeseq.recipes import Calibration, Recipe
from edgeseq.report.auto import SCHEMA, Finding
from edgeseq.runtime import StreamModel
from edgeseq.tasks.base import Array
from edgeseq.workflows.auto.kept import Kept, digest
from edgeseq.workflows.evidence import Evidence, Original
from edgeseq.workflows.producer import producer

Draw = Callable[[Calibration], Sequence[Array]]
"""Draws the streams `(T, F)` to calibrate on."""


@dataclass(frozen=True)
class Lab:
    """Makes candidates of an fp32 file, and finds out what they do to its outputs."""

    source: Path
    settings: SessionSettings
    evidence: Evidence
    """What candidates are judged on."""
    draw: Draw
    kept: Kept[Finding]
    scratch: Path
    """Where files of candidates lie for as long as this runs."""
    by_frame: bool = True
    """Count losses frame by frame, which tells candidates apart; else by window, as scores do."""

    def reference(self) -> Finding:
        """Return the score of fp32 itself."""
        return self.kept.get({**self._common, "what": "fp32"}, self._find_reference)

    def judge(self, recipe: Recipe) -> Finding:
        """Return what a recipe does to the outputs and to the task's metric."""
        return self.kept.get(self._key(recipe, "judged"), lambda: self._find(recipe, scored=True))

    def listen(self, recipe: Recipe) -> Finding:
        """Return what a recipe does to the outputs, the task left aside."""
        return self.kept.get(self._key(recipe, "heard"), lambda: self._find(recipe, scored=False))

    def file(self, recipe: Recipe) -> Path:
        """Return a recipe's file, which is made when it is first asked for."""
        file = self.scratch / f"{digest(dataclasses.asdict(recipe))[:16]}.onnx"
        if not file.exists():
            streams = self._streams(recipe)
            quantize_file(self.source, file, recipe, producer=producer(), streams=streams)
        return file

    @cached_property
    def elements(self) -> dict[str, int]:
        """Values of every weight that can be quantized, by name."""
        return weight_sizes(read(self.source))

    @cached_property
    def _original(self) -> Original:
        return Original(StreamModel.load(self.source, settings=self.settings), self.evidence)

    def _find_reference(self) -> Finding:
        size, accuracy = self.source.stat().st_size, self._original.accuracy
        return Finding(SCHEMA, files.sha256(self.source), size, accuracy=accuracy)

    def _find(self, recipe: Recipe, *, scored: bool) -> Finding:
        try:
            file = self.file(recipe)
        except (PromiseError, ModelError, UsageError) as error:
            return Finding(SCHEMA, refused=str(error))
        model = StreamModel.load(file, settings=self.settings)
        made = files.sha256(file), file.stat().st_size
        if not scored:
            return Finding(SCHEMA, *made, self._original.parity(model))
        judged = self._original.judge(model, by_frame=self.by_frame)
        return Finding(SCHEMA, *made, judged.parity, judged.accuracy, judged.paired)

    def _key(self, recipe: Recipe, what: str) -> dict[str, Any]:
        """Return all that a finding depends on."""
        own = {"recipe": dataclasses.asdict(recipe), "streams": _hash(self._streams(recipe))}
        return {**self._common, "what": what, **own}

    def _streams(self, recipe: Recipe) -> Sequence[Array]:
        how = quantization(recipe)
        return self.draw(how.calibration) if how.calibrated else ()

    @cached_property
    def _common(self) -> dict[str, Any]:
        """All that a finding depends on, but for the recipe."""
        machine, scored = this_machine(), self.evidence.recordings
        return {
            "source": files.sha256(self.source),
            "settings": dataclasses.asdict(self.settings),
            "frames": _hash([self.evidence.frames]),
            "scored": _hash(array for one in scored for array in (one.frames, one.target)),
            "by_frame": self.by_frame,
            "seed": self.evidence.seed,
            "producer": producer(),
            "onnxruntime": machine.onnxruntime,
            "cpu": [machine.cpu, *machine.flags],
        }


def _hash(arrays: Iterable[Array]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
