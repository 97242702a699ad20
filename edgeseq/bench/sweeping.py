"""Timing one pass of a sweep: every flip of a setting, interleaved, after its outputs agreed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeseq.bench.candidate import Array, Candidate, Stepper, of_file
from edgeseq.bench.choose import CURRENT, Flip
from edgeseq.bench.latency import HotResult, HotSettings, measure_hot
from edgeseq.bench.pace import PaceSettings, measure_paced
from edgeseq.bench.stats import Ratio
from edgeseq.bench.subjects import ONNXRUNTIME, Target
from edgeseq.contract import SessionSettings, Tolerance
from edgeseq.runtime import StreamModel

BEFORE, DEFAULTS, BY_NAME = "before", "onnxruntime", "binding=by name"
COMPARED = 256
"""Real frames whose outputs must not change with the settings."""

Progress = Callable[[str, int, int], object]
"""Called with (what, done, total) now and then."""


@dataclass(frozen=True)
class SweepSettings:
    """How settings are compared."""

    hot: HotSettings = field(default_factory=HotSettings)
    pace: PaceSettings | None = None
    """Paced run of what may take more CPU; none: not measured, so never taken."""


@dataclass(frozen=True)
class Measured:
    """What one pass found out."""

    hot: HotResult
    cpu: dict[str, float]
    """CPU seconds an hour, paced, of the current settings and of what may take more."""
    excluded: dict[str, str]
    """Changes that were not timed, and why."""

    def against(self, reference: str) -> dict[str, Ratio]:
        """Return each candidate's ratio to `reference`."""
        return {
            name: self.hot.ratio(name, reference) for name in self.hot.medians if name != reference
        }


def measure(
    target: Target,
    current: SessionSettings,
    first: SessionSettings,
    tried: tuple[Flip, ...],
    tolerance: Tolerance,
    settings: SweepSettings,
    progress: Progress,
) -> Measured:
    """Time `tried` against the `current` settings, in turns.

    Beside them: the `first` settings, where they are others by now, ONNX Runtime's defaults, and
    the current settings without IO binding.
    """
    named = {CURRENT: current} | {flip.name: flip.settings for flip in tried}
    named |= {DEFAULTS: ONNXRUNTIME} | ({BEFORE: first} if first != current else {})
    every = {name: _candidate(target, name, one) for name, one in named.items()}
    every[BY_NAME] = by_name(target, current)
    excluded = _differ(every, tolerance, progress)
    kept = {name: one for name, one in every.items() if name not in excluded}
    hot = measure_hot(
        list(kept.values()),
        settings.hot,
        progress=lambda done, total: progress("hot", done, total),
    )
    busy = {flip.name for flip in tried if flip.costs_cpu(current)} | {CURRENT, BEFORE, DEFAULTS}
    cpu = {}
    if settings.pace:
        paced, _ = measure_paced(
            [one for name, one in kept.items() if name in busy],
            settings.pace,
            progress=lambda done, total: progress("paced", done, total),
        )
        cpu = {name: one.cpu_seconds_per_hour for name, one in paced.items()}
    return Measured(hot, cpu, excluded)


def by_name(target: Target, settings: SessionSettings) -> Candidate:
    """Return the candidate that calls `InferenceSession.run` and feeds the state back by name."""

    @contextmanager
    def opened() -> Iterator[Stepper]:
        provider = target.subject.provider
        yield _ByName(StreamModel.load(target.file, provider=provider, settings=settings))

    return Candidate(BY_NAME, opened, target.candidate.frames)


class _ByName:
    """A stream as a tutorial would write it."""

    def __init__(self, model: StreamModel) -> None:
        contract = model.contract
        self._run, self._frame = model.session.run, contract.frame.name
        self._inputs = [state.input for state in contract.states]
        self._outputs = [contract.output.name, *(state.output for state in contract.states)]
        self._feeds: dict[str, Any] = {
            state.input: np.full(state.sized(1), state.initial, state.dtype)
            for state in contract.states
        }

    def step(self, frame: Array) -> Array:
        """Feed one frame `(F,)` and return the outputs `(C,)`."""
        self._feeds[self._frame] = frame[None, None]
        outputs, *states = self._run(self._outputs, self._feeds)
        self._feeds.update(zip(self._inputs, states, strict=True))
        answer: Array = outputs[0, 0]
        return answer


def _candidate(target: Target, name: str, settings: SessionSettings) -> Candidate:
    frames, provider = target.candidate.frames, target.subject.provider
    return of_file(name, target.file, frames, provider=provider, settings=settings)


def _differ(
    every: dict[str, Candidate], tolerance: Tolerance, progress: Progress
) -> dict[str, str]:
    """Return the candidates whose outputs are not the current ones', with the difference."""
    reference = _outputs(every[CURRENT])
    size = float(np.sqrt(np.mean(np.square(reference)))) or 1.0
    found = {}
    for done, (name, one) in enumerate(every.items(), 1):
        differences = (_outputs(one) - reference) / size
        worst = float(np.abs(differences).max())
        noise = float(np.sqrt(np.mean(np.square(differences))))
        if not (worst <= tolerance.relative_error and noise <= tolerance.noise):
            found[name] = (
                f"changes the outputs: by {worst:.2g} of their RMS at most ("
                f"{tolerance.relative_error:g} allowed), {noise:.2g} RMS ({tolerance.noise:g})"
            )
        progress("outputs", done, len(every))
    return found


def _outputs(candidate: Candidate) -> np.ndarray[Any, np.dtype[np.float64]]:
    frames = np.resize(candidate.frames, (COMPARED, *candidate.frames.shape[1:]))
    with candidate.open() as stream:
        return np.array([stream.step(frame) for frame in frames], np.float64)
