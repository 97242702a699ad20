"""Streams to calibrate on: drawn from what a model was trained on, never from what it is judged on.

A stream starts anywhere, its state at reset, and runs for as long as an app might let it: lengths
are drawn log-uniformly, so that young states and old ones are both seen.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseq.bundle import Bundle
from edgeseq.errors import ConfigError, DataError, UsageError
from edgeseq.measured import Calibrated
from edgeseq.recipes import Calibration
from edgeseq.tasks.base import Array, Task
from edgeseq.workflows.evidence import load_judge, require_same_frames


@dataclass(frozen=True)
class Drawn:
    """Streams, and what the manifest says of them."""

    streams: tuple[Array, ...]
    """Frames `(T, F)` each."""
    calibrated: Calibrated


def draw(bundle: Bundle, how: Calibration, *, task: Task | str | None = None) -> Drawn:
    """Draw streams from the training recordings of the bundle's fold.

    Where the task's data is not here, the frames of the bundle's reference have to do, and the
    source says so.

    Args:
        bundle: what will be calibrated.
        how: how many streams, how long, by which seed.
        task: whose recordings; none: what the model was trained on.

    Raises:
        UsageError: `task` is unknown, or has other frames than the bundle.
        DataError: the data of `task` cannot be had.
    """
    recordings, source = _recordings(bundle, task)
    streams = tuple(draw_streams(recordings, how))
    calibrated = Calibrated(
        streams=len(streams),
        frames=sum(map(len, streams)),
        source=source,
        ranges=how.ranges,
        state=how.state,
    )
    return Drawn(streams, calibrated)


def _recordings(bundle: Bundle, task: Task | str | None) -> tuple[list[Array], str]:
    """Return frames `(T, F)` of recordings, and whose they are."""
    fold = bundle.manifest.origin.fold
    try:
        judge = load_judge(bundle, task)
        train = judge.split(fold).train
    except (DataError, ConfigError, UsageError):
        if task is not None:
            raise
        frames = np.ascontiguousarray(bundle.reference["frames"], np.float32)
        return [frames], f"the bundle's reference ({bundle.manifest.reference.source})"
    require_same_frames(judge, bundle)
    name = Path(judge.name).stem
    return [item.frames for item in train], f"{name}, training recordings of fold {fold}"


def draw_streams(recordings: Sequence[Array], how: Calibration) -> Iterator[Array]:
    """Yield streams `(T, F)`; each begins at any frame, and other recordings follow on."""
    rng = np.random.default_rng(how.seed)
    for _ in range(how.streams):
        drawn = math.exp(rng.uniform(math.log(how.shortest), math.log(how.longest + 1)))
        length = min(max(int(drawn), how.shortest), how.longest)
        yield _stream(recordings, length, rng)


def _stream(recordings: Sequence[Array], length: int, rng: np.random.Generator) -> Array:
    sizes = np.array([len(frames) for frames in recordings])
    first = int(rng.choice(len(sizes), p=sizes / sizes.sum()))  # every frame is as likely
    pieces = [recordings[first][rng.integers(sizes[first]) :]]
    missing = length - len(pieces[0])
    while missing > 0:
        pieces.append(recordings[int(rng.integers(len(sizes)))])
        missing -= len(pieces[-1])
    return np.concatenate(pieces)[:length]
