"""Cells about streams: a frame's latency by its position, memory by length, and the edge."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeseq.bench.candidate import Candidate, floor, of_file
from edgeseq.bench.fresh import Job
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.lengths import IDLE, measure_lengths
from edgeseq.bench.memory import Memory, measure_fresh
from edgeseq.bench.pace import Paced, PaceSettings, measure_paced
from edgeseq.bench.position import PositionCost, measure_positions
from edgeseq.check.parity import decision_rule
from edgeseq.contract import Contract, SessionSettings
from edgeseq.errors import PromiseError
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_recipe
from edgeseq.runtime import StreamModel
from edgeseq.workflows.claims.measured import NOT_MEASURED, Result, Settings, conditions, interval
from edgeseq.workflows.claims.untrained import Array, Untrained, untrained
from edgeseq.workflows.demo import paced_rate
from edgeseq.workflows.export import parity_with

PARITY_FRAMES = 10_000
STREAM = 1000
"""Drawn frames of a timed stream, which repeats."""
RECIPE = "int8-dynamic"
_KIB = 1024


def latency(settings: Settings, folder: Path) -> Result:
    """Time one frame's answer, by its position, hot and paced: LSTM and Transformer in turns.

    Settings: `params` of `lstm` and `transformer`, `task`, `positions`, `rounds`; and where wanted
    `window` of the Transformer, `around`, `hot_rounds`, `block`, `rate_hz`,
    `paced_s`, `parity_frames`.
    """
    window = {"window": settings["window"]} if "window" in settings else {}
    lstm, transformer = (
        untrained({**settings, "family": family, "params": settings["params"][family]}, **sizes)
        for family, sizes in (("lstm", {}), ("transformer", window))
    )
    files = {
        "lstm": lstm.write(folder / "lstm.onnx", "step", frames=1)[0],
        "ring": transformer.write(folder / "ring.onnx", "step", frames=1)[0],
        "growing": transformer.write(folder / "growing.onnx", "growing-cache")[0],
        "recomputed": transformer.write(folder / "whole.onnx", "sequence")[0],
    }
    models = {name: StreamModel.load(file) for name, file in files.items()}
    frames = lstm.frames(STREAM)
    result, rate_hz = Result(), float(settings.get("rate_hz", paced_rate(lstm.task.frame)))
    with conditions(result):
        curves = measure_positions(
            models, frames, positions=settings["positions"], rounds=settings["rounds"],
            around=settings.get("around", 1),
        )  # fmt: skip
        steps = [_candidate(name, files[name], frames) for name in ("lstm", "ring")]
        speeds = _speeds(steps, settings, rate_hz)
    return {
        "parameters": {"lstm": lstm.parameters, "transformer": transformer.parameters},
        "positions": list(settings["positions"]),
        "rounds": settings["rounds"],
        "curves": {cost.name: _curve(cost) for cost in curves},
        **speeds,
        "parity": _parity(transformer, models["ring"], settings),
        **result,
    }


def memory(settings: Settings, folder: Path) -> Result:
    """Measure what listening for `lengths` frames takes: state, and peak of a fresh process.

    Settings: `family`, `params`, `task`, `lengths`; and where wanted `sizes`, `repeats`. Peaks
    are those above a session that does nothing with as many frames.
    """
    made, result = untrained(settings), Result()
    files: dict[str, tuple[Path, Contract]] = {}
    for form in ("step", "growing-cache", "sequence"):
        if form in made.model.body.forms:
            frames: Any = 1 if form == "step" else "T"
            file, _, contract = made.write(folder / f"{form}.onnx", form, frames=frames)
            files[form] = file, contract
    row = made.frames(1)[0]
    jobs = {form: _job(file, row) for form, (file, _) in files.items()}
    lengths = settings["lengths"]
    with conditions(result):
        peaks = measure_lengths(jobs, lengths, repeats=settings.get("repeats", 3))
    return {
        "parameters": made.parameters,
        "lengths": list(lengths),
        "state_bytes": {
            form: [contract.state_bytes_after(length) for length in lengths]
            for form, (_, contract) in files.items()
            if contract.states
        },
        "peak_mib": {form: list(found) for form, found in peaks.items() if form != IDLE},
        "idle_peak_mib": list(peaks[IDLE]),
        "repeats": settings.get("repeats", 3),
        **result,
    }


def edge(settings: Settings, folder: Path) -> Result:
    """Measure what a step graph costs a device, in fp32 and in int8.

    Settings: `family`, `params`, `task`, `rate_hz`, `rounds` of the hot loop; and where wanted
    `sizes`, `block`, `paced_s`, `processes`, `steps`.
    """
    made, result = untrained(settings), Result()
    files, missing = _precisions(made, folder)
    frames = made.frames(STREAM)
    with conditions(result):
        steps = [_candidate(name, file, frames) for name, file in files.items()]
        speeds = _speeds(steps, settings, settings["rate_hz"])
        job = {
            name: _job(file, frames[0], settings.get("steps", 1000)) for name, file in files.items()
        }
        processes = settings.get("processes", 5)
        fresh = measure_fresh(job, repeats=processes) if processes else {}
    return {
        "parameters": made.parameters,
        **{
            name: {"file_kib": round(file.stat().st_size / _KIB, 2), **_memory(fresh.get(name))}
            for name, file in files.items()
        },
        **missing,
        **speeds,
        **result,
    }


def _precisions(made: Untrained, folder: Path) -> tuple[dict[str, Path], Result]:
    """Write the step graph in fp32 and, if it can be, in int8; else say why not."""
    files = {"fp32": made.write(folder / "fp32.onnx", "step", frames=1)[0]}
    try:
        quantize_file(files["fp32"], folder / "int8.onnx", load_recipe(RECIPE))
    except PromiseError as error:
        return files, {"int8": {NOT_MEASURED: str(error)}}
    return {**files, "int8": folder / "int8.onnx"}, {}


def _speeds(steps: list[Candidate], settings: Settings, rate_hz: float) -> Result:
    """Time the steps hot, in turns with a session that does nothing, and paced."""
    rounds = settings.get("hot_rounds", settings["rounds"])
    with floor(settings=SessionSettings()) as below:
        hot = measure_hot(
            [*steps, below], HotSettings(rounds=rounds, block=settings.get("block", 250))
        )
    paced, _ = measure_paced(steps, PaceSettings(rate_hz, seconds=settings.get("paced_s", 5.0)))
    return {
        "hot_us": {name: interval(found) for name, found in hot.latencies.items()},
        "hot_ratio": {
            ratio.candidate: interval(ratio)
            for ratio in hot.ratios
            if ratio.candidate != below.name
        },
        "hot_rounds": rounds,
        "paced": {"rate_hz": rate_hz, **{name: _paced(found) for name, found in paced.items()}},
    }


def _paced(found: Paced) -> Result:
    return {
        "us": interval(found.step),
        "p99_us": round(found.step.p99_us, 1),
        "missed": found.missed,
        "frames": found.frames,
        "cpu_s_per_hour": found.cpu_seconds_per_hour,
    }


def _memory(measured: tuple[object, Memory] | None) -> Result:
    """Return the memory of a fresh process, and what it takes above a session that does nothing."""
    if measured is None:
        return {}
    _, found = measured
    return {
        "pss_mib": found.pss_mib,
        "peak_mib": found.peak_rss_mib,
        "peak_above_idle_mib": found.attributable_rss_mib,
        "uss_above_idle_mib": found.attributable_uss_mib,
        "processes": found.repeats,
    }


def _curve(cost: PositionCost) -> Mapping[str, list[float]]:
    return {
        "us": list(cost.step_us),
        "low": list(cost.low_us),
        "high": list(cost.high_us),
        "state_kib": list(cost.state_kib),
    }


def _parity(made: Untrained, loaded: StreamModel, settings: Settings) -> Result:
    """Hold the streamed model against its whole-sequence outputs in double precision."""
    frames = made.frames(settings.get("parity_frames", PARITY_FRAMES), seed=1)[None]
    decide = decision_rule(made.task.frame, made.task.output)
    limit = load_recipe("streaming-fp32").tolerance.relative_error
    found = parity_with(copy.deepcopy(made.model).double(), loaded, frames, decide)
    return {
        "frames": found.steps,
        "relative_error": float(f"{found.relative_error:.4g}"),
        "limit": limit,
        "changed_decisions": found.changed_decisions,
    }


def _candidate(name: str, file: Path, frames: Array) -> Candidate:
    return of_file(name, file, frames, provider="cpu", settings=SessionSettings())


def _job(file: Path, row: Array, steps: int = 1000) -> Job:
    return Job(
        file, None, "cpu", SessionSettings(), tuple(map(float, row)), steps, growth_seconds=0
    )
