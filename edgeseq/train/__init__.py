"""Fitting a model to a task: seeded, resumable, checkpointed."""

from edgeseq.train.checkpoint import Checkpoint, load_checkpoint
from edgeseq.train.fit import fit
from edgeseq.train.predict import predictor
from edgeseq.train.settings import FitSettings, default_settings

__all__ = ["Checkpoint", "FitSettings", "default_settings", "fit", "load_checkpoint", "predictor"]
