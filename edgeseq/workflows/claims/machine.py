"""Cells about the machine: its roofline, what share of it a model reaches, what a step costs."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeseq.bench.achieved import Achieved, Work, graph_work, measure_achieved, time_in_turns
from edgeseq.bench.operators import Operators, measure_operators
from edgeseq.bench.products import Product, in_onnxruntime
from edgeseq.bench.roofline import Roofline, RooflineSettings, measure_core
from edgeseq.bench.stats import spread
from edgeseq.errors import ProviderError
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.specs import parse
from edgeseq.train.cost import draw_batch, step_cost, step_on
from edgeseq.train.defaults import default_settings
from edgeseq.train.determinism import device_of, reproducible
from edgeseq.workflows.claims.measured import (
    NOT_MEASURED,
    Result,
    Settings,
    conditions,
    interval,
    scaled,
    without,
)
from edgeseq.workflows.claims.untrained import Untrained, untrained

ROUNDS, BLOCK_S, MOST_S = 15, 0.05, 30.0
"""Rounds, seconds of a turn, and seconds after which no more rounds begin."""
PEAK_SIZE = {"cpu": 768, "cuda": 4096}
"""Rows of the product that shows the peak: large enough, and short beside a turn."""
PROFILED_S = 3.0
"""Seconds in which operators are watched, about."""
LISTED = 8
"""Operators that are listed by name."""


def roofline(settings: Settings, folder: Path) -> Result:
    """Measure what one core can do at most; `settings` are those of `RooflineSettings`."""
    del folder
    result: Result = {}
    with conditions(result) as core:
        found = measure_core(parse(settings, RooflineSettings, where="roofline"), core)
    return _roofline_table(found) | result


def achieved(settings: Settings, folder: Path) -> Result:
    """Measure what share of the peak a model reaches.

    Settings: `family`, `params`, `task`, `batch`, `length`, `what` (`inference`, `training`); and
    where wanted `form`, `sizes`, `provider`, `rounds`, `block_s`, `most_s`, `peak_size`, `calls`.
    """
    run = _training if settings["what"] == "training" else _inference
    try:
        return run(settings, folder)
    except ProviderError as error:
        return without(error)


def train_speed(settings: Settings, folder: Path) -> Result:
    """Time one step of training on drawn frames, on one thread.

    Settings: `family`, `params`, `task`, `length`, `batch`; and where wanted `sizes`, `provider`,
    `rounds`, `block_s`, `most_s`.
    """
    del folder
    try:
        device = device_of(settings.get("provider", "cpu"))
    except ProviderError as error:
        return without(error)
    made, result = untrained(settings), Result()
    with conditions(result), reproducible(device, threads=1):
        step, _ = _step(made, settings, device)
        times = time_in_turns({"step": step}, **_how(settings))["step"]
    frames, found = settings["batch"] * settings["length"], spread(times)
    return {
        "parameters": made.parameters,
        "seconds": interval(found),
        "frames": frames,
        "us_per_frame": scaled(found, 1e6 / frames),
        "rounds": len(times),
        **result,
    }


def _inference(settings: Settings, folder: Path) -> Result:
    """Run a graph of `batch` streams by `length` frames a call, as an app calls it."""
    provider, batch, length = (settings.get(k, d) for k, d in _CALL.items())
    form = settings.get("form", "step" if length == 1 else "sequence")
    made, result = untrained(settings), Result()
    _, graph, contract = made.write(folder / "counted.onnx", form, frames=length, streams=batch)
    work = graph_work(graph, contract)
    if work is None:
        return {NOT_MEASURED: f"the products of the {form} graph cannot be counted"}
    file, _, _ = made.write(folder / "model.onnx", form, frames=1 if length == 1 else "T")
    frames = made.frames(batch * length).reshape(batch, length, -1)
    given = np.ascontiguousarray(frames if batch > 1 else frames[0])
    model = StreamModel.load(file, provider=provider)
    with conditions(result), StreamSession(model, streams=batch) as session:
        product = in_onnxruntime(_peak_size(settings), provider=provider)
        found = measure_achieved(lambda: session.run(given), work, product, **_how(settings))
        calls = settings.get("calls", _calls(found.seconds.median))
        watched = measure_operators(file, frames, provider=provider, calls=calls)
    return {
        **_achieved_table(made, found, batch * length),
        "form": form,
        **_operators_table(watched),
        **result,
    }


def _calls(seconds: float) -> int:
    """Return how many calls of so many seconds are profiled: `PROFILED_S`, as far as that goes."""
    return max(3, min(30, int(PROFILED_S / seconds)))


_CALL: dict[str, Any] = {"provider": "cpu", "batch": 1, "length": 1}


def _training(settings: Settings, folder: Path) -> Result:
    """Run steps of training: forward, backward, AdamW."""
    del folder
    device = device_of(settings.get("provider", "cpu"))
    made, result = untrained(settings), Result()
    with conditions(result), reproducible(device, threads=1):
        step, work = _step(made, settings, device)
        found = measure_achieved(step, work, _peak(settings, device), **_how(settings))
    table = _achieved_table(made, found, settings["batch"] * settings["length"])
    return {**table, "convention": "a step is three forward passes", **result}


def _step(made: Untrained, settings: Settings, device: torch.device) -> tuple[Any, Work]:
    """Return a step on drawn frames, and its work."""
    task = made.task
    batch = draw_batch(task.frame, task.output, settings["batch"], settings["length"])
    cost = step_cost(made.model, batch[0])
    fit = default_settings(task, settings["family"])
    frames, target = (part.to(device) for part in batch)
    step = step_on(made.model.to(device), fit, task.frame, task.output, (frames, target))
    return step, Work(cost.flops, cost.bytes)


def _peak(settings: Settings, device: torch.device) -> Product:
    """Return the product that shows the peak: PyTorch's own on a GPU, where it is waited for."""
    size = _peak_size(settings)
    if device.type == "cpu":
        return in_onnxruntime(size)
    left, right = (torch.randn(size, size, device=device) for _ in range(2))

    def run() -> None:
        torch.mm(left, right)
        torch.cuda.synchronize(device)

    return Product("PyTorch", "float32", size, run)


def _peak_size(settings: Settings) -> int:
    return int(settings.get("peak_size", PEAK_SIZE[settings.get("provider", "cpu")]))


def _how(settings: Settings) -> dict[str, Any]:
    usual = {"rounds": ROUNDS, "block_s": BLOCK_S, "most_s": MOST_S}
    return {name: settings.get(name, value) for name, value in usual.items()}


def _achieved_table(made: Untrained, found: Achieved, frames: int) -> Result:
    return {
        "parameters": made.parameters,
        "frames": frames,
        "flops": found.work.flops,
        "bytes": found.work.bytes,
        "intensity": round(found.work.intensity, 4),
        "seconds": interval(found.seconds),
        "us_per_frame": scaled(found.seconds, 1e6 / frames),
        "gflops": interval(found.gflops),
        "peak_gflops": interval(found.peak_gflops),
        "share": interval(found.share),
        "rounds": found.rounds,
    }


def _operators_table(found: Operators) -> Result:
    """Return the shares of a call's time, the least ones together."""
    shares = list(found.shares.items())
    rest = (
        {"others": round(sum(share for _, share in shares[LISTED:]), 4)} if shares[LISTED:] else {}
    )
    return {
        "operators": dict(shares[:LISTED]) | rest,
        "call": found.call,
        "kernels_us": found.kernels_us,
        "profiled_us": found.call_us,
        "nodes": found.nodes,
    }


def _roofline_table(found: Roofline) -> Result:
    peak = found.peak()
    return {
        "peak_gflops": interval(peak.gflops),
        "peak_by": f"{peak.by}, {peak.size} rows",
        "products": [
            {"by": p.by, "dtype": p.dtype, "size": p.size, "gops": interval(p.gflops)}
            for p in found.peaks
        ],
        "caches_kib": {cache.level: cache.kib for cache in found.caches},
        "levels": {
            level: {"gbs": found.bandwidth(level), "knee": round(found.knee(level), 3)}
            for level in found.levels
        },
        "bandwidths": [
            {"kib": b.kib, "level": b.level}
            | {name: interval(getattr(b, name), 3) for name in ("read", "copy", "add")}
            for b in found.bandwidths
        ],
    }
