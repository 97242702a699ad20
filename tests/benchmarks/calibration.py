"""What static int8 loses where calibration forgets that the state rolls on.

    for fold in 0 1 2 3 4; do
        edgeseq train har --model lstm --params 50k --fold $fold -o runs/har-lstm-$fold/run
        edgeseq export runs/har-lstm-$fold/run -o runs/har-lstm-$fold/bundle
    done  # and so on, for the other families and for glucose
    python tests/benchmarks/calibration.py runs/*/bundle
    python tests/benchmarks/calibration.py --latency

The same fp32 graph is calibrated on the same training recordings in three ways:

- rolling: streams of 16 to 2,048 frames, the state fed back from frame to frame;
- windows: stretches as long as the task scores or trains on, each from the reset state: what tools
  for sequence models do;
- zero: frame by frame, always from the reset state: what tools do that know inputs and no state.

Every range is then read in four ways, of windows in the recipe's alone. Judged are test recordings:
the first 10 frames of 1,000 streams, the last 1,000 frames of one stream of 10,000, and the task's
score. `dynamic` stands beside them, streamed one frame a call. `--latency` times one frame a call
of untrained models: fp32, dynamic and static interleaved on one pinned core. What an older result
says of other bundles is kept.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from baseline import FRAME, INPUTS, LSTM, MODELS, OUTPUT, TRANSFORMER, random_model

from edgeseq.bench.candidate import of_file
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.check.parity import compare, decision_rule
from edgeseq.contract import SessionSettings
from edgeseq.export import build_graph
from edgeseq.models.gru import GRUSpec
from edgeseq.quantize.apart import take_apart
from edgeseq.quantize.calibrate import watch
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.prefer import drop
from edgeseq.quantize.products import products
from edgeseq.quantize.ranges import Histogram, find_range
from edgeseq.quantize.static import with_ranges
from edgeseq.recipes import Calibration, load_quantization, load_recipe
from edgeseq.runtime import StreamModel, predict
from edgeseq.tasks.base import Array, Task
from edgeseq.workflows.accuracy import as_accuracy
from edgeseq.workflows.calibration import draw
from edgeseq.workflows.evidence import Evidence, frame_by_frame, gather

RESULT = Path(__file__).parent / "results" / "calibration.json"
METHODS = ("minmax", "percentile", "entropy", "mse")
HOW = load_quantization("int8-static")[1]
STEPS, FIRST, LAST = 10_000, 10, 1_000
LATENCY_MODELS = {
    LSTM: MODELS[LSTM],
    "GRU 2x128": GRUSpec(128, 2),
    TRANSFORMER: MODELS[TRANSFORMER],
}
Outputs = Callable[[Array], Array]
"""Frames `(N, T, F)` → outputs `(N, T, C)`."""


def arms(task: Task) -> dict[str, Calibration]:
    """Three ways to feed the same recordings, with about as many frames each."""
    window = task.window or task.span
    return {
        "rolling": Calibration(),
        "windows": Calibration(streams=12_000 // window, shortest=window, longest=window),
        "zero": Calibration(state="zero"),
    }


def judged(reference: Outputs, outputs: Outputs, evidence: Evidence, name: str) -> dict[str, float]:
    """Compare with fp32 young and old states, and on the task."""
    frames, task = evidence.frames, evidence.task
    decide = decision_rule(task.frame, task.output)
    young = frames.reshape(-1, FIRST, frames.shape[1])  # (N, 10, F)
    result: dict[str, float] = {}
    for when, fed, last in (("10", young, FIRST), ("10000", frames[None], LAST)):
        expected, found = (
            np.concatenate(run(fed)[:, -last:]).astype(np.float32) for run in (reference, outputs)
        )
        parity = compare(expected, found, decide)
        result[f"sqnr_db after {when}"] = round(parity.sqnr_db, 2)
        result[f"changed after {when}"] = parity.changed_decisions
    scores = [as_accuracy(task.score(run, evidence.test)) for run in (reference, outputs)]
    result["score"], result["loss"] = scores[1].value, round(drop(*scores), 3)
    print(f"    {name:20s}", *(f"{key} {value:.4g};" for key, value in result.items()))
    sys.stdout.flush()
    return result


def cells(bundle: Bundle, folder: Path) -> dict[str, object]:
    """Calibrate and judge one bundle in every way."""
    evidence, source = gather(bundle, STEPS), bundle.file("fp32")
    if evidence.task is None:
        raise SystemExit(f"{bundle.path}: its task's data is not here: {evidence.missing}")
    reference = partial(predict, StreamModel.load(source))
    graph = take_apart(onnx.load(source))
    parts = products(graph)
    found: dict[str, object] = {}
    quantize_file(source, folder / "dynamic.onnx", load_recipe("int8-dynamic"))
    dynamic = partial(frame_by_frame, StreamModel.load(folder / "dynamic.onnx"))
    found["dynamic"] = judged(reference, dynamic, evidence, "dynamic")
    for arm, how in arms(evidence.task).items():
        streams = draw(bundle, how).streams
        seen = watch(graph, [part.seen for part in parts], streams, state=how.state)
        ends = {part.weight: seen[part.seen] for part in parts}
        found[f"{arm} frames"] = sum(map(len, streams))
        found[f"{arm} seen"] = {name: [item.low, item.high] for name, item in ends.items()}
        for method in METHODS if arm != "windows" else (HOW.calibration.ranges,):
            outputs = static(graph, ends, method, folder / f"{arm}-{method}.onnx")
            found[f"{arm} {method}"] = judged(reference, outputs, evidence, f"{arm} {method}")
    metric = as_accuracy(evidence.task.score(reference, evidence.test))
    return {"metric": metric.metric, "fp32": metric.value, "cells": found}


def static(
    graph: onnx.ModelProto, ends: Mapping[str, Histogram], method: str, file: Path
) -> Outputs:
    """Return what a static int8 graph with these ranges computes; chunks do not change it."""
    ranges = {name: find_range(histogram, method) for name, histogram in ends.items()}
    onnx.save(with_ranges(graph, ranges, HOW), file)
    return partial(predict, StreamModel.load(file))


def means(bundles: Sequence[Mapping[str, object]]) -> dict[str, dict[str, dict[str, float]]]:
    """Average over the folds of a task and family; the worst fold's SQNR beside it."""
    groups: dict[str, list[Mapping[str, dict[str, float]]]] = defaultdict(list)
    for bundle in bundles:
        groups[bundle["name"]].append(bundle["cells"])
    return {
        name: {
            cell: {
                **{key: float(np.mean([fold[cell][key] for fold in folds])) for key in numbers},
                "worst sqnr_db": min(fold[cell]["sqnr_db after 10000"] for fold in folds),
                "worst loss": max(fold[cell]["loss"] for fold in folds),
                "folds": len(folds),
            }
            for cell, numbers in folds[0].items()
            if isinstance(numbers, dict) and "score" in numbers
        }
        for name, folds in groups.items()
    }


def latencies(rounds: int) -> dict[str, object]:
    """Time one frame a call: fp32 and both int8, the static one calibrated on the same frames."""
    os.sched_setaffinity(0, {0})
    found: dict[str, object] = {}
    for name, spec in LATENCY_MODELS.items():
        model = random_model(spec)
        frames = np.random.default_rng(0).standard_normal((2000, INPUTS)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            graph = build_graph(
                model, FRAME, OUTPUT, newest=True, frames=1, producer="benchmark", recipe=""
            )
            files = {"fp32": Path(folder, "fp32.onnx")}
            onnx.save(graph, files["fp32"])
            for method in ("dynamic", "static"):
                files[method] = Path(folder, f"{method}.onnx")
                recipe = load_recipe(f"int8-{method}")
                quantize_file(files["fp32"], files[method], recipe, streams=[frames])
            candidates = [
                of_file(key, file, frames, provider="cpu", settings=SessionSettings())
                for key, file in files.items()
            ]
            result = measure_hot(candidates, HotSettings(rounds=rounds, block=150))
        found[name] = {
            "p50_us": {key: latency.p50_us for key, latency in result.latencies.items()},
            "ratios": [dataclasses.asdict(ratio) for ratio in result.ratios],
            "static to dynamic": dataclasses.asdict(result.ratio("static", "dynamic")),
        }
        print(name, found[name]["p50_us"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="*", help="bundles of trained models")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the result goes")
    parser.add_argument("--latency", action="store_true", help="time untrained models instead")
    parser.add_argument("--rounds", type=int, default=60, help="of --latency")
    arguments = parser.parse_args()
    table = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    if arguments.latency:
        table["latency machine"] = dataclasses.asdict(this_machine())
        table["latency"] = latencies(arguments.rounds)
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
        return
    for path in arguments.bundles:
        bundle = load_bundle(path)
        row = {"name": bundle.manifest.name, "fold": bundle.manifest.origin.fold}
        print(*row.values())
        rows = [
            other
            for other in table.get("bundles", ())
            if (other["name"], other["fold"]) != tuple(row.values())
        ]
        with tempfile.TemporaryDirectory() as folder:
            rows.append({**row, **cells(bundle, Path(folder))})
        rows.sort(key=lambda row: (row["name"], row["fold"]))
        table |= {
            "command": "python tests/benchmarks/calibration.py BUNDLE...",
            "steps": {"streamed": STEPS, "first": FIRST, "last": LAST},
            "means": means(rows),
            "bundles": rows,
            "machine": dataclasses.asdict(this_machine()),
        }
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
