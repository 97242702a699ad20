"""The demo's measurements: all variants of all bundles in one run, then in fresh processes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from edgeseq.bench.candidate import Array, floor, of_file
from edgeseq.bench.latency import HotResult, HotSettings, measure_hot
from edgeseq.bench.memory import ColdStart, Job, Memory, measure_fresh
from edgeseq.bench.pace import Paced, PaceSettings, measure_paced
from edgeseq.bench.position import measure_positions
from edgeseq.bundle import Bundle
from edgeseq.claims.latency import PositionCurve
from edgeseq.contract import SessionSettings
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.predict import is_stepped

POSITIONS = (1, 8, 16, 32, 64, 128, 256)
"""Frames seen: from the first one to well beyond the attention window."""

Name = tuple[str, str]
"""Family and variant."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    hot: HotSettings
    pace: PaceSettings
    fresh_processes: int = 5
    fresh_steps: int = 1000
    position_repeats: int = 40


@dataclass(frozen=True)
class Measurements:
    """What was measured, by family and variant."""

    hot: HotResult
    """Candidates are named `FAMILY VARIANT`, and the floor below them."""
    paced: dict[Name, Paced]
    paced_harness: Paced
    fresh: dict[Name, tuple[ColdStart, Memory]]
    positions: tuple[PositionCurve, ...]


def label(name: Name) -> str:
    """Return how a variant is called among candidates."""
    return " ".join(name)


def measure(
    bundles: Mapping[str, Bundle],
    sequence: Bundle | None,
    plan: Plan,
    *,
    progress: Callable[[str], None],
) -> Measurements:
    """Measure every variant that runs frame by frame; nothing else may be running."""
    names = stepped(bundles)
    frames = np.ascontiguousarray(next(iter(bundles.values())).reference["frames"], np.float32)
    with ExitStack() as stack:
        sessions = {
            (family, name): stack.enter_context(StreamSession(bundles[family].path, variant=name))
            for family, name in names
        }
        candidates = [
            of_file(
                label((family, name)), bundles[family].file(name), frames,
                provider="cpu", settings=bundles[family].variant(name).session,
            )
            for family, name in names
        ]  # fmt: skip
        progress("bench: hot latency, all variants in turns")
        below = stack.enter_context(floor(settings=SessionSettings()))
        hot = measure_hot([*candidates, below], plan.hot)
        progress("bench: latency against position")
        positions = _positions(sessions, sequence, frames, plan.position_repeats)
        progress(f"bench: paced at {plan.pace.rate_hz:g} Hz")
        paced, harness = measure_paced(candidates, plan.pace)
    progress("bench: memory and cold start in fresh processes")
    fresh = _fresh(bundles, sessions, frames[0], plan)
    return Measurements(
        hot, {name: paced[label(name)] for name in names}, harness, fresh, positions
    )


def stepped(bundles: Mapping[str, Bundle]) -> list[Name]:
    """Return all variants that can be stepped, the first bundle's fastest one first."""
    names = [
        (family, name)
        for family, bundle in bundles.items()
        for name, variant in bundle.manifest.variants.items()
        if is_stepped(variant.contract)
    ]
    family, bundle = next(iter(bundles.items()))
    first = family, fastest(bundle)
    return sorted(names, key=lambda name: name != first)


def fastest(bundle: Bundle) -> str:
    """Return the variant that was fastest when the bundle was quantized; else the preferred one.

    To choose by the numbers that are compared afterwards would favour whoever has more variants.
    """
    times = {
        name: variant.latency.median_us
        for name, variant in bundle.manifest.variants.items()
        if variant.latency
    }
    return min(times, key=times.__getitem__, default=bundle.manifest.preferred)


def _fresh(
    bundles: Mapping[str, Bundle],
    sessions: Mapping[Name, StreamSession],
    frame: Array,
    plan: Plan,
) -> dict[Name, tuple[ColdStart, Memory]]:
    if not plan.fresh_processes:
        return {}
    values = tuple(float(value) for value in frame)
    jobs = {
        label(name): Job(
            bundles[name[0]].path.resolve(), name[1], session.model.provider,
            session.model.settings, values, plan.fresh_steps,
        )
        for name, session in sessions.items()
    }  # fmt: skip
    found = measure_fresh(jobs, repeats=plan.fresh_processes)
    return {name: found[label(name)] for name in sessions}


def _positions(
    sessions: Mapping[Name, StreamSession], sequence: Bundle | None, frames: Array, repeats: int
) -> tuple[PositionCurve, ...]:
    """Time one answer after so many frames, in turns: step graphs, then computing all again."""
    models: dict[str, StreamModel] = {}
    for family, names in {"lstm": ("fp32",), "transformer": ("step", "fp32")}.items():
        name = next((name for name in names if (family, name) in sessions), None)
        if name is not None:
            curve = "LSTM step" if family == "lstm" else "ring step"
            models[curve] = sessions[family, name].model
    if sequence is not None:
        models["recompute"] = StreamModel.load(sequence.path, variant="fp32")
    costs = measure_positions(models, frames, positions=POSITIONS, rounds=repeats, around=1)
    return tuple(
        PositionCurve(cost.name, cost.positions, cost.step_us, cost.rounds) for cost in costs
    )
