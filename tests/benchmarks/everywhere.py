"""The same files and frames on this CPU and on emulated ones: is the answer the same everywhere?

    python tests/benchmarks/everywhere.py --json tests/benchmarks/results/everywhere.json
    python tests/benchmarks/everywhere.py --bundle mine --architecture x86_64

Quantizes every fp32 graph of the bundles by every recipe, and once with full-range weights as the
warning example; replays the bundle's reference frames through each file, the state fed back, here
and under qemu; compares. Exit 3 where a file that promises one answer has two. Needs Debian's
qemu-user-static and, for Arm, debootstrap; what is missing is fetched into a cache. Without
--bundle: the golden bundles, and a small GRU that is trained on the spot.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from emulators import CPUS, Cpu, Emulators, NotHereError

from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.check.parity import Array, compare, decision_rule
from edgeseq.graph.portable import dependences
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import Recipe, list_recipes, load_recipe
from edgeseq.tasks.wheels import cache_directory

REPLAY = Path(__file__).with_name("replay.py")
GOLDEN = Path(__file__).parents[1] / "golden"
FULL_RANGE = "full range"
HERE = "here"
CHUNK = 32
"""Frames a call of a graph that takes any number; in a bundle without a graph of one, 1 as well."""
SAME_NOISE, SAME_DECISIONS = 0.003, 0.002
"""Largest difference between two CPUs of a file that promises none: RMS over the outputs' RMS, and
share of frames that decide otherwise. Integers are the same everywhere, floats round in the seventh
digit; now and then that moves an activation across the border between two bytes, which is one part
in 255 of one value, and a recurrent state carries it on for a while. Seen of trained 50k models:
0.0012, and no other decision. Saturation makes 0.05 to 0.2."""
SAME_FLOATS = 1e-5
"""The same for fp32, whose largest error against PyTorch may be as much."""


@dataclass(frozen=True)
class File:
    """One graph in one precision."""

    bundle: str
    graph: str
    """Name of the fp32 variant that it comes from."""
    recipe: str
    path: Path
    promised: bool
    """Whether its recipe promises one answer."""
    pairs: int
    """Pairs of weights that can leave 16 bits, as predicted."""
    predicted: bool
    """Whether any node is predicted to depend on the CPU."""


@dataclass(frozen=True)
class Row:
    """One file on one CPU, fed in one way."""

    bundle: str
    graph: str
    recipe: str
    call: int
    cpu: str
    promised: bool
    predicted: bool
    pairs: int
    largest: float
    """Largest difference from this machine's answer over the outputs' RMS."""
    noise: float
    """RMS of that difference over the outputs' RMS."""
    decisions: float
    """Share of frames that decide otherwise than here."""
    fp32_noise: float
    """RMS of the difference from this machine's fp32 over the outputs' RMS."""
    fp32_decisions: float
    """Share of frames that decide otherwise than this machine's fp32."""

    @property
    def same(self) -> bool:
        """Say whether the answer is the one that is given here, as far as floats allow."""
        limit = SAME_FLOATS if self.recipe == "fp32" else SAME_NOISE
        return self.noise <= limit and self.decisions <= SAME_DECISIONS


def recipes() -> Iterator[tuple[str, Recipe]]:
    """Yield every recipe that makes integers, and what the default one would be with 8 bits."""
    for name in list_recipes():
        recipe = load_recipe(name)
        if recipe.quantize is not None and recipe.quantize.precision != "fp16":
            yield name, recipe
    default = load_recipe("int8-dynamic")
    how = dataclasses.replace(default.quantize, fit_pairs=False, reduce_range=False, portable=False)
    yield FULL_RANGE, dataclasses.replace(default, quantize=how)


def make_files(bundle: Bundle, folder: Path) -> Iterator[File]:
    """Yield every fp32 graph of a bundle as it is and by every recipe, calibrated on its frames."""
    name = f"{bundle.manifest.name} {bundle.manifest.origin.parameters // 1000}k"
    for graph, variant in bundle.manifest.variants.items():
        if variant.precision != "fp32" or variant.contract.form != "step":
            continue
        yield File(name, graph, "fp32", bundle.file(graph), True, 0, False)
        for number, (recipe_name, recipe) in enumerate(recipes()):
            path = folder / f"{name}.{graph}.{number}.onnx".replace(" ", "-")
            frames = np.ascontiguousarray(bundle.reference["frames"], np.float32)
            quantize_file(bundle.file(graph), path, recipe, streams=[frames])
            found = dependences(onnx.load(path))
            pairs = sum(item.pairs for item in found)
            yield File(name, graph, recipe_name, path, recipe.quantize.portable, pairs, bool(found))


def calls(bundle: Bundle, graph: str) -> tuple[int, ...]:
    """Return how many frames a call of a graph takes, each a way to feed it."""
    if bundle.variant(graph).contract.chunk_max == 1:
        return (1,)
    return (CHUNK,) if "step" in bundle.manifest.variants else (1, CHUNK)


def make_jobs(bundle: Bundle, files: list[File], frames: Path) -> Iterator[tuple[str, dict]]:
    """Yield what `replay.py` shall do, by a name that tells file and call."""
    for file in files:
        for call in calls(bundle, file.graph):
            name = f"{file.bundle}|{file.graph}|{file.recipe}|{call}"
            yield name, {
                "name": name, "file": str(file.path.resolve()), "frames": str(frames), "call": call,
            }  # fmt: skip


def run(jobs: Path, target: Path, start: list[str], environment: dict | None = None) -> dict:
    """Run `replay.py` and return its outputs by job."""
    done = subprocess.run(
        [*start, str(REPLAY), str(jobs), str(target)],
        env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise NotHereError(f"{start[0]} ended with {done.returncode}: {done.stderr[-400:]}")
    with np.load(target) as outputs:
        return dict(outputs)


def rows_of(
    bundle: Bundle, files: list[File], cpu: str, outputs: dict[str, Array], here: dict[str, Array]
) -> Iterator[Row]:
    """Compare one CPU's outputs of a bundle with those of this machine, and with its fp32."""
    contract = bundle.variant().contract
    decide = decision_rule(contract.frame, contract.output)
    for file in files:
        for call in calls(bundle, file.graph):
            name = f"{file.bundle}|{file.graph}|{file.recipe}|{call}"
            fp32 = here[f"{file.bundle}|{file.graph}|fp32|{call}"]
            same = compare(here[name], outputs[name], decide)
            far = compare(fp32, outputs[name], decide)
            yield Row(
                file.bundle, file.graph, file.recipe, call, cpu, file.promised, file.predicted,
                file.pairs, same.relative_error, same.noise, same.changed_decisions, far.noise,
                far.changed_decisions,
            )  # fmt: skip


def wrong(rows: list[Row]) -> list[str]:
    """Say which files broke their promise, or differ although none of their nodes should."""
    return [
        f"{row.bundle} {row.graph} {row.recipe}, {row.call} a call, on {row.cpu}: noise "
        f"{row.noise:.1e}, {row.decisions:.2%} of decisions"
        for row in rows
        if (row.promised or not row.predicted) and not row.same
    ]


def table(rows: list[Row]) -> Iterator[str]:
    """Yield the worst of each recipe on each CPU, over all bundles, graphs and calls."""
    yield f"{'recipe':18}{'on':28}{'largest':>10}{'noise':>10}{'decisions':>11}{'fp32 noise':>12}"
    for recipe, cpu in dict.fromkeys((row.recipe, row.cpu) for row in rows):
        group = [row for row in rows if (row.recipe, row.cpu) == (recipe, cpu)]
        worst = [max(getattr(row, name) for row in group)
                 for name in ("largest", "noise", "decisions", "fp32_noise")]  # fmt: skip
        yield "{:18}{:28}{:10.1e}{:10.1e}{:11.2%}{:12.1e}".format(recipe, cpu, *worst)


def small_gru(cache: Path) -> Path:
    """Return a bundle of a small GRU, trained and exported once."""
    from edgeseq.workflows.export import export_run
    from edgeseq.workflows.train import TrainRequest, train

    bundle = cache / "har-gru"
    if not (bundle / "manifest.json").exists():
        with tempfile.TemporaryDirectory() as scratch:
            run = Path(scratch, "run")
            train(TrainRequest("har", "gru", params=10_000, steps=400), run)
            export_run(run, bundle)
    return bundle


def emulated(arguments: argparse.Namespace, emulators: Emulators) -> tuple[list[Cpu], dict]:
    """Return the CPUs to emulate, and why each of the others is not."""
    asked = [cpu for cpu in CPUS if arguments.architecture in (None, cpu.architecture)]
    lacking = {cpu.name: emulators.lacks(cpu) for cpu in asked}
    return [cpu for cpu in asked if not lacking[cpu.name]], {
        name: why for name, why in lacking.items() if why
    }


def measure(arguments: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    """Replay everything everywhere; return what came out, and why some CPUs are missing."""
    emulators = Emulators(arguments.cache)
    cpus, missing = emulated(arguments, emulators)
    paths = arguments.bundle or [*sorted(GOLDEN.iterdir()), small_gru(arguments.cache)]
    bundles, files, jobs = [load_bundle(path) for path in paths], {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for index, bundle in enumerate(bundles):
            frames = folder / f"{index}.npy"
            np.save(frames, bundle.reference["frames"][: arguments.frames].astype(np.float32))
            files[index] = list(make_files(bundle, folder))
            jobs |= make_jobs(bundle, files[index], frames)
        listed, target = folder / "jobs.json", folder / "outputs.npz"
        listed.write_text(json.dumps(list(jobs.values())))
        here = run(listed, target, [sys.executable])
        outputs = {HERE: here}
        commands = {cpu: emulators.command(cpu) for cpu in cpus}
        with ThreadPoolExecutor(arguments.together) as pool:
            found = pool.map(
                lambda cpu: run(listed, folder / f"{cpu.model}.npz", *commands[cpu]), cpus
            )
            outputs |= zip((cpu.name for cpu in cpus), found, strict=True)
    return [
        row
        for index, bundle in enumerate(bundles)
        for cpu, found in outputs.items()
        for row in rows_of(bundle, files[index], cpu, found, here)
    ], missing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", nargs="+", type=Path, help="instead of the golden ones")
    parser.add_argument("--frames", type=int, default=1024, help="of each bundle's reference")
    parser.add_argument("--architecture", choices=sorted({cpu.architecture for cpu in CPUS}))
    parser.add_argument("--together", type=int, default=os.cpu_count(), help="CPUs at a time")
    parser.add_argument("--cache", type=Path, default=cache_directory() / "emulators")
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    try:
        rows, missing = measure(arguments)
    except NotHereError as error:
        sys.exit(str(error))
    print("\n".join(table(rows)))
    for cpu, why in missing.items():
        print(f"not measured: {cpu}: {why}")
    mistakes = wrong(rows)
    if arguments.json:
        versions = {"onnx": onnx.__version__, "qemu": Emulators(arguments.cache).release()}
        result = {
            "frames": arguments.frames,
            "limits": {"noise": SAME_NOISE, "decisions": SAME_DECISIONS, "fp32": SAME_FLOATS},
            "rows": [dataclasses.asdict(row) for row in rows],
            "missing": missing,
            "wrong": mistakes,
            "machine": dataclasses.asdict(this_machine()),
            "versions": versions,
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if mistakes:
        print("another answer, though one is promised or predicted:", *mistakes, sep="\n  ")
        sys.exit(3)


if __name__ == "__main__":
    main()
