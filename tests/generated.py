"""The generated blocks of the pages, each from a committed result of a benchmark."""

import dataclasses
import json
from pathlib import Path
from typing import get_args, get_type_hints

from family_tables import accuracy_table, families_table, task_table
from page_parts import RESULTS, block, machine_line, measured_on

from edgeseq.claims import CLAIMS
from edgeseq.claims.claim import load_claim
from edgeseq.claims.plan import SCALES
from edgeseq.claims.store import Store
from edgeseq.claims.summary import summarise
from edgeseq.cli import main
from edgeseq.recipes import Calibration, load_quantization
from edgeseq.report.claims_markdown import verdict_block
from edgeseq.report.demo import DemoResult
from edgeseq.report.reference import BLOCKS
from edgeseq.report.text import demo_rows
from edgeseq.shipped import shipped


def commands() -> str:
    """The verbs with their one-line help."""
    lines = ["| command | what it does |", "|---|---|"]
    lines += [
        f"| `edgeseq {name}` | {command.short_help} |" for name, command in main.commands.items()
    ]
    return "\n".join(lines)


def baseline_table() -> str:
    """What `tests/benchmarks/baseline.py` last measured."""
    table = json.loads((RESULTS / "baseline.json").read_text())
    names = [name for name in next(iter(table["models"].values()))["p50_us"] if name != "B"]
    heads = ["one step, median: share of B's time", "B, µs"]
    heads += [name if name.startswith("B") else f"`{name}`" for name in names]
    rows = []
    for model, result in table["models"].items():
        ratios = {ratio["candidate"]: ratio for ratio in result["ratios"]}
        shares = [f"{ratios[name]['ratio']:.2f}" for name in names]
        rows.append([model, f"{result['p50_us']['B']:.1f}", *shares])
    widest = max(
        (ratio["high"] - ratio["low"]) / 2
        for result in table["models"].values()
        for ratio in result["ratios"]
    )
    note = (
        f"95 % intervals are at most ±{widest:.2f}. Measured on "
        f"{machine_line(table['machine'], table['versions'])}."
    )
    return block(heads, rows, note)


def choices_table() -> str:
    """What `tests/benchmarks/choices.py` last measured."""
    table = json.loads((RESULTS / "choices.json").read_text())
    models = list(table["models"])
    choices = list(dict.fromkeys(name for rows in table["models"].values() for name in rows))
    rows = []
    for name in choices:
        found = [table["models"][model].get(name) for model in models]
        rows.append([name, *(f"{row['ratio']:.2f}" if row else "" for row in found)])
    for what, name in (("the shipped graph", choices[0]), ("B", "B")):
        nodes = (table["models"][model][name]["nodes"] for model in models)
        rows.append([f"nodes of {what}", *map(str, nodes)])
    return block(["time of a frame", *models], rows, measured_on(table))


def demo_table() -> str:
    """What `edgeseq demo` last measured."""
    result = DemoResult.load(RESULTS / "demo.json")
    heads, rows = demo_rows(result)
    note = f"`*` preferred. {result.commands[0]}, {result.created[:10]}, on "
    return block(heads, rows, note + machine_line(dataclasses.asdict(result.machine), {}) + ".")


def regression_table() -> str:
    """What `tests/benchmarks/regression.py` last found of the benchmark itself."""
    table = json.loads((RESULTS / "regression.json").read_text())
    found, runs = table["summary"], table["runs"]
    words = ("pass", "fail", "not checked")
    rows = [
        [name, *(str(counts.get(word, 0)) for word in words)]
        for name, counts in found["verdicts"].items()
    ]
    fast, slow = found["p50 of A, lowest and highest run, us"]
    note = (
        f"{len(runs)} runs, the longest of {found['seconds of a run, longest']:.0f} s; in the "
        f"slowest the machine was {slow / fast:.2f} times as slow as in the fastest. The slower "
        f"file took {found['slower, median of ratios']:.3f} times as long in the median run. "
        f"Measured on {machine_line(table['machine'], {})}."
    )
    return block(["the same file again, and one a tenth slower", *words], rows, note)


def paced_table() -> str:
    """What `tests/benchmarks/paced.py` last measured."""
    table = json.loads((RESULTS / "paced.json").read_text())
    rate = table["settings"]["rate_hz"]
    heads = (f"{rate:g} frames a second", "step p50 µs", "p99 µs", "missed", "CPU s/hour")
    names = {"B": "B: `torch.onnx.export`, default session, `run()`", "harness": "the loop alone"}
    rows = [
        [
            f"{model}, {names.get(name, name)}",
            f"{row['p50_us']:.0f}",
            f"{row['p99_us']:.0f}",
            f"{row['missed']} of {row['frames']:,}",
            f"{row['cpu_seconds_per_hour']:,.0f}",
        ]
        for model, found in table["models"].items()
        for name, row in found.items()
    ]
    return block(heads, rows, measured_on(table))


def int8_accuracy_table() -> str:
    """What `tests/benchmarks/int8_accuracy.py` last found: accuracy, then bytes."""
    table = json.loads((RESULTS / "int8_accuracy.json").read_text())
    ages = list(table["accuracy"][0]["ages"])
    heads = ["what it costs (95 %)", "fp32", *ages]
    rows = []
    for row in table["accuracy"]:
        found = list(row["ages"].values())
        fp32 = f"{row['ages']['whole windows']['fp32']:.1f} {row['metric'].split()[-1]}"
        name = f"{row['task']} {row['family']}, `{row['recipe']}`"
        rows.append([name, fp32, *map(_drop, found)])
    note = " ".join([_limits(table), *_seeds(table)])
    return f"{block(heads, rows, note)}\n\n{_bytes(table)}"


def _bytes(table: dict) -> str:
    """What the files of `har` are made of; those of `glucose` are in the JSON."""
    heads = (
        "int8 file, bytes", "all", "weights", "other constants", "metadata", "nodes, names",
        "share of fp32's", "without other constants",
    )  # fmt: skip
    rows = []
    for row in table["sizes"]:
        if row["task"] != "har":
            continue
        fp32, twin = row["fp32"], row["twin"]
        parts = [twin[part] for part in ("total", "weights", "constants", "metadata", "graph")]
        bare = [size["total"] - size["constants"] for size in (twin, fp32)]
        cells = [*(f"{part:,}" for part in parts), f"{row['share']:.3f}"]
        cells += [f"{bare[0] / bare[1]:.3f}"]
        name = f"{row['family']} `{row['variant']}`, `{row['recipe']}`"
        rows.append([name, *cells])
    return block(heads, rows)


def _drop(found: dict) -> str:
    unit = " %" if found["unit"].startswith("%") else ""
    word = "" if found["verdict"] == "within" else f", {found['verdict']}"
    if needed := found["clusters needed"]:
        word += f": about {needed} {found['by']} would tell"
    drop, low, high = (f"{round(found[name], 2) + 0:.2f}" for name in ("drop", "low", "high"))
    return f"{drop}{unit} ({low} to {high}){word}"


def _limits(table: dict) -> str:
    limits = table["limits"]
    groups = dict.fromkeys(
        f"{found['clusters']} {found['by']} ({row['task']})"
        for row in table["accuracy"]
        for found in row["ages"].values()
    )
    return (
        f"Drop in points of window accuracy, limit {limits['har']:g}, or per cent of fp32's MAE, "
        f"limit {limits['glucose']:g} %; the interval ends within unless a cell says otherwise. "
        f"Clusters: {', '.join(groups)}."
    )


def _seeds(table: dict) -> list[str]:
    return [
        f"{row['task']} {row['family']}: {len(row['seeds'])} seeds."
        for row in table["accuracy"]
        if len(row["seeds"]) > 1
    ]


def memory_line() -> str:
    """What `tests/benchmarks/memory.py` last measured, the worst of its models."""
    table = json.loads((RESULTS / "memory.json").read_text())
    models = table["models"].values()
    share = max(model["memory"]["breakdown"]["unexplained_share"] for model in models)
    session = max(model["many"]["session_overhead_kib"] for model in models)
    row = max(model["many"]["row_overhead_kib"] for model in models)
    return (
        f"Of {len(models)} models, the worst: {100 * share:.2f} % of a process unexplained; "
        f"{session:.1f} KiB a session beyond its state, {row:.2f} KiB a row of a session of many."
    )


def qat_table() -> str:
    """What `tests/benchmarks/qat.py` last found."""
    table = json.loads((RESULTS / "qat.json").read_text())
    heads = (
        "parameters, family, recipe", "folds", "fp32", "alone", "more", "qat", "qat - alone",
        "qat - more", "decisions unlike fp32's: alone", "more", "qat",
    )  # fmt: skip
    rows = []
    for row in table["summary"]:
        scores = (f"{row['accuracy'][arm]:.1f}" for arm in ("fp32", "alone", "more", "qat"))
        gains = (
            f"{gain['mean']:+.1f} ± {gain['standard_error']:.1f}"
            for gain in (row["differences"][f"qat - {arm}"] for arm in ("alone", "more"))
        )
        unlike = (
            f"{row['against fp32 before'][arm]['changed_decisions']:.1%}"
            for arm in ("alone", "more", "qat")
        )
        name = f"{row['params']:,}, {row['family']}, `{row['recipe']}`"
        rows.append([name, str(len(row["folds"])), *scores, *gains, *unlike])
    facts = ", ".join(f"{name} {value}" for name, value in table["machine"].items())
    return block(heads, rows, f"Measured on {facts}.")


def folds_line() -> str:
    """What `tests/benchmarks/har_folds.py` last found, in one sentence."""
    means = json.loads((RESULTS / "har_folds.json").read_text())["mean"]
    return "; ".join(f"{name} {value:.1f} %" for name, value in means.items()) + "."


CALIBRATED = {
    "rolling": "static, rolling state",
    "windows": "static, windows from reset",
    "zero": "static, zero state",
}


def calibration_table() -> str:
    """What `tests/benchmarks/calibration.py` last found of state, with the recipe's ranges."""
    table = json.loads((RESULTS / "calibration.json").read_text())
    ranges = load_quantization("int8-static")[1].calibration.ranges
    heads = (
        "model", "calibrated with", "SQNR of frames 1 to 10", "of frames 9,001 to 10,000",
        "decisions changed", "score lost",
    )  # fmt: skip
    lines = []
    for name, cells in table["means"].items():
        rows = {"dynamic": cells["dynamic"]}
        rows |= {text: cells[f"{arm} {ranges}"] for arm, text in CALIBRATED.items()}
        unit = " points" if name.startswith("har") else " %"
        for what, row in rows.items():
            changed = f"{row['changed after 10000']:.1%}" if name.startswith("har") else ""
            sqnr = (f"{row[f'sqnr_db after {frames}']:.1f} dB" for frames in (10, 10_000))
            lines.append([name, what, *sqnr, changed, f"{row['loss']:+.2f}{unit}"])
    folds = ", ".join(
        f"{name} {cells['dynamic']['folds']}" for name, cells in table["means"].items()
    )
    # CPUs round alike, but the kernels are theirs.
    where = f"Computed on {machine_line(table['machine'], {})}."
    note = f"Means over folds ({folds}); ranges: `{ranges}`. {where}"
    return block(heads, lines, note, texts=2)


def ranges_table() -> str:
    """What `tests/benchmarks/calibration.py` last found of four ways to read a range."""
    means = json.loads((RESULTS / "calibration.json").read_text())["means"]
    methods = get_args(get_type_hints(Calibration)["ranges"])
    rows = []
    for name, cells in means.items():
        found = [cells[f"rolling {method}"] for method in methods]
        row = (f"{cell['sqnr_db after 10000']:.1f} ({cell['worst sqnr_db']:.1f})" for cell in found)
        rows.append([name, *row])
    heads = ("SQNR of frames 9,001 to 10,000, dB", *methods)
    return block(heads, rows, "In brackets the worst fold.")


def static_latency() -> str:
    """What `tests/benchmarks/calibration.py --latency` last measured."""
    table = json.loads((RESULTS / "calibration.json").read_text())
    kinds, rows = ("fp32", "dynamic", "static"), []
    for name, found in table["latency"].items():
        ratio = found["static to dynamic"]
        interval = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
        times = (f"{found['p50_us'][kind]:.1f}" for kind in kinds)
        rows.append([name, *times, f"{ratio['ratio']:.2f} ({interval})"])
    heads = ("one step, median µs", *kinds, "static to dynamic (95 %)")
    return block(heads, rows, measured_on({"machine": table["latency machine"]}))


def everywhere_table() -> str:
    """What `tests/benchmarks/everywhere.py` last measured, the worst of its bundles."""
    table = json.loads((RESULTS / "everywhere.json").read_text())
    rows = table["rows"]
    cpus = list(dict.fromkeys(row["cpu"] for row in rows))
    heads = ["noise against fp32", *cpus, "two CPUs differ by", "decide otherwise"]
    lines = []
    for recipe in dict.fromkeys(row["recipe"] for row in rows if row["recipe"] != "fp32"):
        group = [row for row in rows if row["recipe"] == recipe]
        noises = (max(r["fp32_noise"] for r in group if r["cpu"] == cpu) for cpu in cpus)
        cells = [f"{noise:.4f}" for noise in noises]
        cells += [f"{max(r['noise'] for r in group):.0e}"]
        cells += [f"{max(r['decisions'] for r in group):.1%}"]
        mark = "" if group[0]["promised"] else " (opt-in)"
        lines.append([f"`{recipe}`{mark}", *cells])
    bundles = ", ".join(dict.fromkeys(row["bundle"] for row in rows))
    missing = "; ".join(f"{cpu} ({why})" for cpu, why in table["missing"].items())
    note = (
        f"The worst of {bundles}; {table['frames']:,} frames each. Not measured: {missing}. "
        f"`here` is {machine_line(table['machine'], table['versions'])}."
    )
    return block(heads, lines, note)


def reduce_range_table() -> str:
    """What `tests/benchmarks/reduce_range.py` last measured."""
    table = json.loads((RESULTS / "reduce_range.json").read_text())
    rows = []
    for form in table["forms"]:
        score, ratio = form["accuracy"], form["ratio"]
        accuracy = f"{score['value']:.2f} {score['metric']}" if score else "not measured"
        time = f"x {ratio['ratio']:.2f}" if ratio else f"{form['median_us']:.1f} µs"
        numbers = f"{form['noise']:.4f}", f"{form['parity']['changed_decisions']:.1%}"
        if form["form"] == "fp32":
            numbers = "", ""
        rows.append([f"{form['bundle']}, {form['form']}", *numbers, accuracy, time])
    heads = ("", "noise", "decisions changed", "accuracy", "time of a step")
    return block(heads, rows, measured_on(table))


CELLS = Path(str(shipped("devices") / "results" / "claims"))


def claims_table() -> str:
    """What the committed cells of the claims come to."""
    store = Store(CELLS)
    if not len(store):
        return "Not measured yet."
    return verdict_block(summarise(list(map(load_claim, CLAIMS)), SCALES["full"], store))


README_BLOCKS = {
    **BLOCKS,
    "calibration table": calibration_table,
    "ranges table": ranges_table,
    "static latency": static_latency,
    "commands": commands,
    "task table": task_table,
    "families table": families_table,
    "accuracy table": accuracy_table,
    "baseline table": baseline_table,
    "choices table": choices_table,
    "claims table": claims_table,
    "demo table": demo_table,
    "everywhere table": everywhere_table,
    "folds line": folds_line,
    "int8 accuracy table": int8_accuracy_table,
    "memory line": memory_line,
    "paced table": paced_table,
    "reduce range table": reduce_range_table,
    "qat table": qat_table,
    "regression table": regression_table,
}
