"""The only place that knows where `export/` and `devices/` lie."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal


def shipped(folder: Literal["devices", "export"]) -> Traversable:
    """Return `folder` as installed in a wheel, or as it lies in a checkout."""
    installed = files("edgeseq") / "_shipped" / folder
    return installed if installed.is_dir() else Path(__file__).parents[1] / folder
