"""What quantization-aware fine-tuning recovers on `har`, beside quantizing alone.

    python tests/benchmarks/qat.py                 # 3 sizes x 3 families x 3 folds: an hour
    python tests/benchmarks/qat.py --params 5000   # one size; the others in the result stay

Every model is quantized as it is (`alone`), after fine-tuning with the rounding of its recipe
(`qat`), and, because more training may help by itself, after the same fine-tuning without rounding
(`more`). All are judged as files, streamed one frame a call as an app does. Runs are kept in RUNS
and resumed; the result goes to `tests/benchmarks/results/qat.json`.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean as mean
from typing import Any

from har_folds import machine

from edgeseq import files
from edgeseq.check.parity import compare, decision_rule
from edgeseq.export import build_graph
from edgeseq.measured import Parity
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import Quantization, Recipe, load_recipe
from edgeseq.runtime import StreamModel
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Score, Task, stream
from edgeseq.train.checkpoint import Checkpoint, load_checkpoint
from edgeseq.train.qat import tune, tuning_settings
from edgeseq.workflows.evidence import frame_by_frame
from edgeseq.workflows.folds import paired_difference, run_folds

TASK, SEED, FRAMES = "har", 0, 10_000
FAMILIES, PARAMETERS, FOLDS = ("lstm", "gru", "transformer"), (5_000, 10_000, 20_000), (0, 1, 2)
RECIPES = ("int8-dynamic", "int4-weights")
NO_ROUNDING = Quantization("weights", nodes={"*": "fp32"})
ARMS = ("alone", "more", "qat")
RESULT = Path(__file__).parent / "results" / "qat.json"


def main() -> None:
    """Parse the command line, train what is missing, measure, write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/qat"), help="kept runs")
    parser.add_argument("--params", type=int, nargs="+", default=PARAMETERS)
    parser.add_argument("--folds", type=int, nargs="+", default=FOLDS)
    arguments = parser.parse_args()
    task = load_task(TASK)
    models = json.loads(RESULT.read_text())["models"] if RESULT.exists() else {}
    for params in arguments.params:
        for family in FAMILIES:
            for fold in arguments.folds:
                name = f"{family} {params} fold {fold}"
                models[name] = measure(task, arguments.runs / str(params), family, params, fold)
                print(name, line(models[name]), flush=True)
                files.write_json(RESULT, result(models))


def result(models: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept."""
    return {
        "command": "python tests/benchmarks/qat.py",
        "machine": machine(),
        "seed": SEED,
        "frames": FRAMES,
        "summary": list(summary(list(models.values()))),
        "models": models,
    }


def summary(models: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield means over folds, and differences paired over people, of every size and family."""
    for params, family, recipe in product(PARAMETERS, FAMILIES, RECIPES):
        of = [m for m in models if (m["params"], m["family"]) == (params, family)]
        if not of:
            continue
        arms = {arm: [m["recipes"][recipe][arm] for m in of] for arm in ARMS}
        scores = {arm: [Score(**row["accuracy"]) for row in rows] for arm, rows in arms.items()}
        fp32 = [Score(**m["fp32"]) for m in of]
        yield {
            "params": params,
            "family": family,
            "recipe": recipe,
            "folds": [m["fold"] for m in of],
            "accuracy": {
                arm: mean(score.value for score in found)
                for arm, found in {"fp32": fp32, **scores}.items()
            },
            "differences": {
                f"{a} - {b}": asdict(paired_difference(found[a], found[b]))
                for found in [{"fp32": fp32, **scores}]
                for a, b in (("alone", "fp32"), ("qat", "alone"), ("qat", "more"))
            },
            **{
                what: {
                    arm: {
                        name: mean(row[what][name] for row in rows)
                        for name in ("sqnr_db", "changed_decisions")
                    }
                    for arm, rows in arms.items()
                }
                for what in ("against its own fp32", "against fp32 before")
            },
        }


def line(found: dict[str, Any]) -> str:
    """Show a model's accuracies."""
    parts = [f"fp32 {found['fp32']['value']:.2f}"]
    for recipe, arms in found["recipes"].items():
        values = ", ".join(f"{arm} {row['accuracy']['value']:.2f}" for arm, row in arms.items())
        parts.append(f"{recipe}: {values}")
    return "; ".join(parts)


def measure(task: Task, folder: Path, family: str, params: int, fold: int) -> dict[str, Any]:
    """Train a model, fine-tune it in every way, and judge the files."""
    run_folds(TASK, (family,), params, (SEED,), folder, folds=(fold,))
    run = folder / f"{family}-fold{fold}-seed{SEED}"
    before = load_checkpoint(run)
    more = tuned(task, run, before, "more", NO_ROUNDING)
    recipes = {}
    for name in RECIPES:
        recipe = load_recipe(name)
        assert recipe.quantize is not None
        arms = {
            "alone": before,
            "more": more,
            "qat": tuned(task, run, before, name, recipe.quantize),
        }
        recipes[name] = {arm: judged(task, found, before, recipe) for arm, found in arms.items()}
    return {
        "family": family,
        "params": params,
        "parameters": before.parameters,
        "fold": fold,
        "fp32": plain(before.scores["test"]),
        "more, fp32": plain(more.scores["test"]),
        "recipes": recipes,
    }


def tuned(task: Task, run: Path, before: Checkpoint, name: str, how: Quantization) -> Checkpoint:
    """Return `before` fine-tuned, from its own directory beside `run`."""
    out = run.with_name(f"{run.name}-{name}")
    settings = tuning_settings(before.settings)
    return tune(task, before, name, how, settings, out, resume=True)


def judged(task: Task, found: Checkpoint, before: Checkpoint, recipe: Recipe) -> dict[str, Any]:
    """Quantize `found`; judge it by the task, by its own fp32 file, and by that of `before`."""
    test = task.split(found.fold).test
    frames = stream(test, FRAMES)[None]
    with tempfile.TemporaryDirectory() as folder:
        fp32 = exported(task, found, Path(folder, "fp32.onnx"))
        file = Path(folder, "quantized.onnx")
        quantize_file(Path(folder, "fp32.onnx"), file, recipe)
        model = StreamModel.load(file)
        score = task.score(partial(frame_by_frame, model), test)
        outputs, own = (frame_by_frame(m, frames)[0] for m in (model, fp32))
        old = frame_by_frame(exported(task, before, Path(folder, "before.onnx")), frames)[0]
    rule = decision_rule(task.frame, task.output)
    return {
        "accuracy": plain(score),
        "against its own fp32": rounding(compare(own, outputs, rule)),
        "against fp32 before": rounding(compare(old, outputs, rule)),
    }


def exported(task: Task, found: Checkpoint, file: Path) -> StreamModel:
    """Write the step graph of `found` and load it."""
    graph = build_graph(
        found.model, task.frame, task.output,
        form="step", streams=1, frames="T", producer="qat.py", recipe="streaming-fp32",
    )  # fmt: skip
    files.write_bytes(file, graph.SerializeToString())
    return StreamModel.load(file)


def plain(score: Score) -> dict[str, Any]:
    """Return a score as JSON values, without its confusion."""
    return asdict(replace(score, confusion=()))


def rounding(parity: Parity) -> dict[str, float]:
    """Return the two figures that a table shows."""
    return {"sqnr_db": parity.sqnr_db, "changed_decisions": parity.changed_decisions}


if __name__ == "__main__":
    main()
