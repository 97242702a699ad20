"""Fitting a model to a task: seeded, resumable, checkpointed."""

from edgeseq.train.checkpoint import Checkpoint, load_checkpoint
from edgeseq.train.defaults import default_settings, default_spec
from edgeseq.train.fit import fit
from edgeseq.train.predict import predictor
from edgeseq.train.qat import quantized_twin, tune, tuning_settings
from edgeseq.train.settings import FitSettings

__all__ = [
    "Checkpoint",
    "FitSettings",
    "default_settings",
    "default_spec",
    "fit",
    "load_checkpoint",
    "predictor",
    "quantized_twin",
    "tune",
    "tuning_settings",
]
