"""What quantizing costs in accuracy, window by window, early and late in a stream; and in bytes.

    python tests/benchmarks/int8_accuracy.py                  # trains what is missing: an hour
    python tests/benchmarks/int8_accuracy.py --bundles DIR    # DIR/{task}-{family}-{fold}/bundle
    python tests/benchmarks/int8_accuracy.py --recipe int8-per-tensor int8-dynamic --seeds 0 1

Every subject of `har` is a test person of one fold; `glucose` has one fold. The twin of the graph
that an app steps (`step` where there is one) is judged on the same windows as its fp32 file: by
the first 10 frames after warm-up from a reset, by whole windows as the task scores them, and by
whole windows in one stream that has seen 10,000 frames of the test recordings before and is never
reset. Where an interval holds the limit, more seeds sharpen it: they add models, not people.
"""

import argparse
import dataclasses
import io
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.claims.paired import clusters_needed, compare, pool
from edgeseq.graph.inspect import file_sizes
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_quantization
from edgeseq.runtime import StreamModel
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Losses, Task, stream
from edgeseq.workflows.calibration import draw
from edgeseq.workflows.evidence import frame_by_frame, never_reset

FAMILIES = ("lstm", "gru", "transformer")
LIMITS = {"har": 0.5, "glucose": 1.0}
"""Points of window accuracy; per cent of fp32's MAE."""
PARAMETERS = 50_000
EARLY, LATE = 10, 10_000
AGES = (f"first {EARLY} steps", "whole windows", f"after {LATE:,} steps")
SIZE = 0.30
"""Largest share of fp32's bytes, from `PARAMETERS` up."""
RESULT = Path(__file__).parent / "results" / "int8_accuracy.json"

Ages = dict[str, Losses]


@dataclasses.dataclass(frozen=True)
class Model:
    """One trained model of a task's fold."""

    task: str
    family: str
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Its directory."""
        seed = f"-seed{self.seed}" if self.seed else ""
        return f"{self.task}-{self.family}-{self.fold}{seed}"


def main() -> None:
    """Judge every model under every recipe, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundles", type=Path, default=Path("runs/int8_accuracy"))
    parser.add_argument("--kept", type=Path, default=Path("runs/int8_accuracy/losses"))
    parser.add_argument("--recipe", nargs="+", default=["int8-dynamic"])
    parser.add_argument("--task", nargs="+", default=list(LIMITS), choices=LIMITS)
    parser.add_argument("--family", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    rows, sizes = [], []
    for recipe in arguments.recipe:
        for task in arguments.task:
            for family in arguments.family:
                models = [
                    Model(task, family, fold, seed)
                    for seed in arguments.seeds
                    for fold in range(load_task(task).folds)
                ]
                bundles = [made(model, arguments.bundles) for model in models]
                row = judged(models, bundles, recipe, arguments.kept)
                rows.append(row)
                sizes += list(weighed(models[0], bundles[0], recipe))
                print(sentence(row), flush=True)
    for size in sizes:
        print(
            f"{size['recipe']} {size['task']} {size['family']} {size['variant']}: "
            f"{size['share']:.3f} of {size['fp32']['total']:,} bytes; {size['twin']}"
        )
    table = {
        "command": "python tests/benchmarks/int8_accuracy.py",
        "created": time.strftime("%Y-%m-%d"),
        "machine": dataclasses.asdict(this_machine()),
        "versions": {"NumPy": np.__version__, "platform": platform.machine()},
        "limits": LIMITS,
        "size limit": SIZE,
        "parameters at most": PARAMETERS,
        "accuracy": rows,
        "sizes": sizes,
    }
    files.write_json(arguments.json, table)


def made(model: Model, folder: Path) -> Bundle:
    """Return the model's bundle; train and export it first where it is missing."""
    place = folder / model.name
    if not (place / "bundle" / "manifest.json").exists():
        from edgeseq.train import default_settings, default_spec, fit
        from edgeseq.workflows.export import export_run

        print(f"training {model.name}", flush=True)
        task = load_task(model.task)
        settings = default_settings(task, model.family, fold=model.fold, seed=model.seed)
        spec = default_spec(task, model.family, PARAMETERS)
        fit(task, spec, settings, place / "run", resume=True)
        export_run(place / "run", place / "bundle")
    return load_bundle(place / "bundle")


def judged(
    models: Sequence[Model], bundles: Sequence[Bundle], recipe: str, kept: Path
) -> dict[str, Any]:
    """Pool the losses of all folds and seeds, and compare them at every age of the stream."""
    first, task = models[0], load_task(models[0].task)
    parts = [measured(*pair, recipe, kept) for pair in zip(models, bundles, strict=True)]
    starts = np.cumsum([0, *(len(task.split(fold).test) for fold in range(task.folds))])
    offsets = [int(starts[model.fold]) for model in models]
    limit = LIMITS[first.task]
    ages = {}
    for age in AGES:
        fp32, twin = (pool([part[side][age] for part in parts], offsets) for side in (0, 1))
        found = compare(fp32, twin)
        assert found is not None
        ages[age] = {
            "fp32": fp32.value,
            "twin": twin.value,
            **dataclasses.asdict(found),
            "verdict": found.verdict(limit),
            "clusters needed": clusters_needed(found, limit),
        }
    return {
        "recipe": recipe,
        "task": first.task,
        "family": first.family,
        "metric": fp32.metric,
        "limit": limit,
        "folds": task.folds,
        "seeds": sorted({model.seed for model in models}),
        "parameters": bundles[0].manifest.origin.parameters,
        "variant": stepped(bundles[0]),
        "ages": ages,
    }


def stepped(bundle: Bundle) -> str:
    """Return the fp32 variant that an app steps."""
    return "step" if "step" in bundle.manifest.variants else "fp32"


def measured(model: Model, bundle: Bundle, recipe: str, kept: Path) -> tuple[Ages, Ages]:
    """Return the losses of fp32 and its twin at every age, kept from an earlier run or new."""
    fp32, variant = bundle.file(stepped(bundle)), bundle.variant(stepped(bundle))
    with tempfile.TemporaryDirectory() as folder:
        twin = quantized(bundle, stepped(bundle), recipe, folder)
        path = kept / f"{model.name}-{recipe}-{variant.sha256[:8]}-{files.sha256(twin)[:8]}.npz"
        if not path.exists():
            print(f"judging {model.name}, {recipe}", flush=True)
            task = load_task(model.task)
            sides = [
                by_age(StreamModel.load(file, settings=variant.session), task, model.fold)
                for file in (fp32, twin)
            ]
            save(path, sides)
    return restored(path)


def quantized(bundle: Bundle, variant: str, recipe: str, folder: str) -> Path:
    """Write the variant's twin, calibrated on training recordings where the recipe asks for it."""
    twin, (loaded, how) = Path(folder, "twin.onnx"), load_quantization(recipe)
    streams = draw(bundle, how.calibration).streams if how.calibrated else ()
    quantize_file(bundle.file(variant), twin, loaded, streams=streams)
    return twin


def by_age(model: StreamModel, task: Task, fold: int) -> Ages:
    """Judge a loaded model on the fold's test recordings, early and late in a stream."""
    test = task.split(fold).test
    fresh, old = partial(frame_by_frame, model), never_reset(model, stream(test, LATE))
    return dict(
        zip(
            AGES,
            (task.losses(fresh, test, EARLY), task.losses(fresh, test), task.losses(old, test)),
            strict=True,
        )
    )


def save(path: Path, sides: Sequence[Ages]) -> None:
    """Write losses, atomically."""
    arrays = {
        f"{side}/{age}/{field.name}": np.asarray(getattr(losses, field.name))
        for side, ages in enumerate(sides)
        for age, losses in ages.items()
        for field in dataclasses.fields(Losses)
    }
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, data.getvalue())


def restored(path: Path) -> tuple[Ages, Ages]:
    """Read what `save` wrote."""
    with np.load(path) as arrays:

        def losses(side: int, age: str) -> Losses:
            columns = {f.name: arrays[f"{side}/{age}/{f.name}"] for f in dataclasses.fields(Losses)}
            columns["metric"] = str(columns["metric"])
            columns["higher_is_better"] = bool(columns["higher_is_better"])
            return Losses(**columns)

        fp32, twin = ({age: losses(side, age) for age in AGES} for side in (0, 1))
    return fp32, twin


def weighed(model: Model, bundle: Bundle, recipe: str) -> Iterator[dict[str, Any]]:
    """Yield what the bytes of every fp32 variant and its twin are."""
    for name, variant in bundle.manifest.variants.items():
        if variant.precision != "fp32":
            continue
        with tempfile.TemporaryDirectory() as folder:
            twin = quantized(bundle, name, recipe, folder)
            before, after = file_sizes(bundle.file(name)), file_sizes(twin)
        yield {
            "recipe": recipe,
            "task": model.task,
            "family": model.family,
            "variant": name,
            "share": after.total / before.total,
            "fp32": dataclasses.asdict(before) | {"total": before.total},
            "twin": dataclasses.asdict(after) | {"total": after.total},
        }


def sentence(row: dict[str, Any]) -> str:
    """Say what was found of one model."""
    parts = []
    for age, found in row["ages"].items():
        needed = found["clusters needed"]
        more = f", about {needed} {found['by']} would tell" if needed else ""
        parts.append(
            f"{age}: {found['drop']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f}) over "
            f"{found['clusters']} {found['by']}: {found['verdict']}{more}"
        )
    unit = next(iter(row["ages"].values()))["unit"]
    return f"{row['recipe']} {row['task']} {row['family']}, {unit}: {'; '.join(parts)}"


if __name__ == "__main__":
    main()
