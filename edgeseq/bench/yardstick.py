"""A step in multiples of one that does nothing: what two runs on one machine can be compared by.

`python -m edgeseq.bench.yardstick REQUEST` takes a JSON request and writes one JSON line.

Nothing takes turns between two runs, but in each of them the model takes turns with a session that
does nothing. What is left differs from process to process by 1 to 2 %, however long one process
measures, because of where memory comes to lie; hence several fresh processes, each one observation.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq.bench.candidate import FLOOR, Array, floor, of_file
from edgeseq.bench.fresh import Job, run_fresh
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.stats import t975
from edgeseq.contract import SessionSettings

VALUES = 4000
"""Numbers of real frames that a process is given on its command line."""
ROUNDS = 24
"""Rounds in each process, the sessions opened afresh every other one."""


@dataclass(frozen=True)
class AgainstFloor:
    """How many times the floor's step a step takes, in several fresh processes."""

    ratio: float
    """Geometric mean over processes."""
    low: float
    high: float
    """Ends of its 95 % interval (Student's t over processes)."""
    ratios: tuple[float, ...]
    """Of each process."""


def measure_against_floor(
    jobs: Mapping[str, tuple[Job, Array]],
    *,
    processes: int = 7,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, AgainstFloor]:
    """Measure each job, fed its frames `(T, F)`, in `processes` fresh processes, in turns.

    Raises:
        EdgeseqError: a process failed; with its last words.
    """
    ratios: dict[str, list[float]] = {name: [] for name in jobs}
    for done in range(processes):
        for name, (job, frames) in jobs.items():
            few = frames[: max(1, VALUES // frames.shape[1])].round(6).tolist()
            report = run_fresh("edgeseq.bench.yardstick", job, frames=few)
            ratios[name].append(float(report["ratio"]))
        if progress:
            progress(done + 1, processes)
    return {name: summarise(found) for name, found in ratios.items()}


def summarise(ratios: Sequence[float]) -> AgainstFloor:
    """Return mean and interval of the ratios of two processes or more."""
    logs = np.log(ratios)
    mean, half = float(logs.mean()), t975(len(logs) - 1) * math.sqrt(_variance(ratios))
    ends = (math.exp(value) for value in (mean, mean - half, mean + half))
    ratio, low, high = (round(value, 4) for value in ends)
    return AgainstFloor(ratio, low, high, tuple(ratios))


def change(old: AgainstFloor, new: AgainstFloor) -> tuple[float, float, float]:
    """Return new over old and its 95 % interval: Welch's (1947), for means of unequal variances."""
    first, second = _variance(old.ratios), _variance(new.ratios)
    total = first + second
    shares = first**2 / (len(old.ratios) - 1) + second**2 / (len(new.ratios) - 1)
    half = t975(int(total**2 / shares)) * math.sqrt(total) if total else 0.0
    ratio = new.ratio / old.ratio
    return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def _variance(ratios: Sequence[float]) -> float:
    """Return the variance of the mean of the logarithms."""
    return float(np.log(ratios).var(ddof=1)) / len(ratios)


def main(request: dict[str, Any]) -> dict[str, float]:
    """Time the source of `request` and a session that does nothing in turns."""
    settings, provider = SessionSettings(**request["session"]), request["provider"]
    frames = np.asarray(request["frames"], np.float32)
    model = of_file("model", Path(request["source"]), frames, provider=provider, settings=settings)
    with floor(provider=provider, settings=settings) as below:
        found = measure_hot([model, below], HotSettings(rounds=ROUNDS))
    return {"ratio": found.ratio(model.name, FLOOR).ratio}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
