"""The tables of families: what each was measured to be, and how good it is at each task."""

import json
import math

import numpy as np
from benchmarks.accuracy import interval
from page_parts import RESULTS, block, measured_on

from edgeseq.report.text import rate
from edgeseq.tasks import list_tasks

ENOUGH = 5
"""Seeds behind an interval; fewer are named."""


def task_table() -> str:
    """What there is to train on."""
    rows = [
        [f"`{name}`", task.summary, f"{task.frame.size} x {rate(task.frame.rate_hz)}", task.source]
        for name, task in list_tasks().items()
    ]
    return block(("task", "what", "frame", "source"), rows, texts=4)


def families_table() -> str:
    """What `tests/benchmarks/families.py` last found, one row a family."""
    table = json.loads((RESULTS / "families.json").read_text())
    heads = (
        "family", "trains", "beats", "streams", "exports", "int8", "parity, 10,000 steps",
        "any chunks", "isolation", "unlimited",
    )  # fmt: skip
    rows = [_family(row) for row in table["rows"]]
    return block(heads, rows, measured_on(table), texts=len(heads))


def _family(row: dict) -> list[str]:
    fp32, int8, promises = row["fp32"], row["int8"], row["promises"]
    exact = [parity for name, parity in row["parity"].items() if "int8" not in name]
    assert min(parity["steps"] for parity in exact) >= 10_000
    files = (item for item in row["variants"].items() if "int8" not in item[0])
    return [
        f"`{row['family']}`",
        f"`{row['task']}`, {row['parameters']:,} parameters: {_score(fp32)}",
        _beats(row),
        f"{row['state bytes']:,} B of state",
        ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in files),
        f"{row['int8 weights']:.0%} of weights: {_score(int8)}",
        _error(max(parity["relative_error"] for parity in exact)),
        _promise(promises["chunks"]),
        _promise(promises["streams"]),
        _unlimited(row["endless"]),
    ]


def _score(score: dict) -> str:
    if score["metric"].endswith(" %"):
        return f"{score['value']:.1f} %"
    return f"{score['value']:.3g} {score['metric']}"


def _beats(row: dict) -> str:
    sign = 1 if row["fp32"]["higher_is_better"] else -1
    return "; ".join(
        f"{'beats' if sign * (row['fp32']['value'] - found['value']) > 0 else 'not'} {name} "
        f"({found['value']:.3g})"
        for name, found in row["baselines"].items()
    )


def _error(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}"


def _promise(found: dict) -> str:
    """Return the largest error of the fp32 graphs, or why there is none."""
    if "fp32" in found:
        return _error(found["fp32"]) + ("" if found["status"] == "kept" else " (broken)")
    return f"n/a: {found['note']}" if found["status"] == "not checked" else found["status"]


def _unlimited(found: dict) -> str:
    """Return how long its stream was, how the end was like the start, and how far ahead."""
    frames = f"10^{math.log10(found['frames']):.0f} frames"
    if found["repeats_from"] is not None:
        like = "its state repeats bit for bit, so for ever"
    else:
        like = f"the last as the first to {_error(found['difference'])}"
    return f"{frames}: {like}; set to frame 10^12: {_error(found['far_ahead'])}"


def accuracy_table() -> str:
    """What `tests/benchmarks/accuracy.py` has found so far: families by tasks."""
    table = json.loads((RESULTS / "accuracy.json").read_text())
    cells, metrics = table["cells"], {}
    for cell in cells:
        metrics[cell["task"]] = cell["metric"] or metrics.get(cell["task"], "")
    rows = [
        [f"`{family}`", *(_cell(cells, task, family) for task in metrics)]
        for family in dict.fromkeys(cell["family"] for cell in cells)
    ]
    rows += _baselines(table["baselines"], list(metrics))
    heads = ["", *(f"`{task}`, {metric}" for task, metric in metrics.items())]
    params = max(cell["params"] for cell in cells)
    note = (
        f"fp32 / int8 ({table['recipe']}), mean ± half of the 95 % interval over seeds, and over "
        f"people where the task has folds; at most {params:,} parameters. {measured_on(table)}"
    )
    return block(heads, rows, note)


def _cell(cells: list[dict], task: str, family: str) -> str:
    found = [cell for cell in cells if (cell["task"], cell["family"]) == (task, family)]
    if any(cell["refused"] for cell in found):
        return "n/a: it continues tokens"
    if not found:
        return "not measured"
    if len(found) == 1:
        return f"{found[0]['fp32']:.3g} / {found[0]['int8']:.3g} (1 seed)"
    seeds = "" if len(found) >= ENOUGH else f" ({len(found)} seeds)"
    return (
        " / ".join(_interval([cell[kind] for cell in found]) for kind in ("fp32", "int8")) + seeds
    )


def _interval(values: list[float]) -> str:
    mean, half = interval(values)
    digits = min(3, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 1
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


def _baselines(table: dict, tasks: list[str]) -> list[list[str]]:
    """Return one row a rank: each task's baselines from the trivial to the strong ones."""
    means = {
        task: [
            f"{name} {np.mean([fold[name] for fold in table[task].values()]):.3g}"
            for name in next(iter(table[task].values()))
        ]
        for task in tasks
        if task in table
    }
    depth = max((len(found) for found in means.values()), default=0)
    return [
        ["baseline", *((means.get(task, []) + [""] * depth)[rank] for task in tasks)]
        for rank in range(depth)
    ]
