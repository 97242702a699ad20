"""Memory and cold start of the golden bundles and of larger models, each in fresh processes.

    python tests/benchmarks/memory.py --json tests/benchmarks/results/memory.json

Prints what a process consists of with the remainder unexplained, how resident memory grows with
steps, what one more stream costs among 1,000, and cold start against warm. Larger models have
random weights: memory does not depend on what they are. Targets: at most 5 % of the process
unexplained; a `StreamSession` costs at most 16 KiB, a row of one at most 1 KiB, beyond its state.
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch

from edgeseq.bench.machine import this_machine
from edgeseq.bench.memory import ColdStart, Job, Memory, measure_fresh
from edgeseq.bench.streams import ManyStreams, measure_many
from edgeseq.bundle import load_bundle
from edgeseq.contract import Frame, Output, SessionSettings
from edgeseq.export import build_graph
from edgeseq.models import SequenceModel
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.quantize.file import quantize_file
from edgeseq.recipes import load_recipe

GOLDEN = Path(__file__).parents[1] / "golden"
BUNDLES = {"har-lstm": ("fp32", "int8"), "glucose-transformer": ("fp32", "step")}
INPUTS, OUTPUTS = 40, 12
FRAME = Frame(tuple(f"x{i}" for i in range(INPUTS)), ("1",) * INPUTS, 100.0)
OUTPUT = Output("logits", tuple(f"class {i}" for i in range(OUTPUTS)))
MODELS = {
    "LSTM 2x128": LSTMSpec(128, 2),
    "LSTM 2x256": LSTMSpec(256, 2),
    "Transformer d64 x 2, window 128": TransformerSpec(64, 256, window=128),
    "Transformer d128 x 4, window 128": TransformerSpec(128, 512, layers=4, window=128),
}
UNEXPLAINED, SESSION_KIB, ROW_KIB = 0.05, 16, 1
"""Targets: share of the process, KiB beyond the state."""


def golden_jobs() -> Iterator[tuple[str, Job]]:
    """Yield every variant of the golden bundles with a frame of its own reference."""
    for name, variants in BUNDLES.items():
        bundle = load_bundle(GOLDEN / name)
        frame = tuple(float(value) for value in bundle.reference["frames"][0])
        for variant in variants:
            session = bundle.variant(variant).session
            yield f"{name} {variant}", Job(bundle.path, variant, "cpu", session, frame)


def random_jobs(folder: Path) -> Iterator[tuple[str, Job]]:
    """Yield larger models of random weights: LSTMs in fp32 and int8, Transformers in both forms."""
    for index, (name, spec) in enumerate(MODELS.items()):
        torch.manual_seed(0)
        model = SequenceModel(spec, INPUTS, OUTPUTS).eval()
        fp32, other = (folder / f"{index}.{kind}.onnx" for kind in ("fp32", "other"))
        onnx.save(build_graph(model, FRAME, OUTPUT, producer="benchmark", recipe=""), fp32)
        if isinstance(spec, LSTMSpec):
            quantize_file(fp32, other, load_recipe("int8-dynamic"))
        else:
            how = {"newest": True, "frames": 1, "producer": "benchmark", "recipe": ""}
            onnx.save(build_graph(model, FRAME, OUTPUT, **how), other)
        variants = ("fp32", "int8" if isinstance(spec, LSTMSpec) else "step")
        for variant, path in zip(variants, (fp32, other), strict=True):
            yield f"{name} {variant}", Job(path, None, "cpu", SessionSettings(), (0.1,) * INPUTS)


def lines(name: str, cold: ColdStart, memory: Memory, many: ManyStreams) -> Iterator[str]:
    """Yield one model's figures."""
    yield name
    parts = dataclasses.asdict(memory.breakdown)
    share, of_added = parts.pop("unexplained_share"), parts.pop("unexplained_share_of_added")
    yield "  MiB: " + ", ".join(
        f"{key.removesuffix('_mib')} {value:.2f}" for key, value in parts.items()
    )
    yield f"  unexplained: {share:.2%} of the process, {of_added:.1%} of what the model adds"
    sizes = memory.peak_rss_mib, memory.rss_mib, memory.pss_mib, memory.uss_mib
    yield "  MiB: peak {:.1f}, RSS {:.1f}, PSS {:.1f}, USS {:.1f}".format(*sizes)
    slope = memory.growth
    yield (
        f"  growth: {slope.per_unit:.0f} KiB per million steps [{slope.low:.0f}, "
        f"{slope.high:.0f}], {memory.growth_steps} steps"
    )
    yield (
        f"  {many.streams} streams, KiB each: state {many.state_kib:.2f}, session + "
        f"{many.session_overhead_kib:.2f}, row + {many.row_overhead_kib:.2f}, "
        f"row in a call at most {many.row_call_kib:.1f}"
    )
    yield (
        f"  cold: process {cold.interpreter_ms:.0f} ms, import {cold.import_ms:.0f} ms, session "
        f"{cold.load_ms:.1f} ms, first call {cold.first_step_ms:.3f} ms; warm: session "
        f"{cold.reload_ms:.1f} ms, call {cold.warm_step_us / 1000:.3f} ms"
    )


def targets(memory: Memory, many: ManyStreams) -> dict[str, bool]:
    """Say which targets were reached."""
    return {
        "unexplained": memory.breakdown.unexplained_share <= UNEXPLAINED,
        "session": many.session_overhead_kib <= SESSION_KIB,
        "row": many.row_overhead_kib <= ROW_KIB,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="fresh processes a model")
    parser.add_argument("--growth-seconds", type=float, default=2.0, help="for growth, a process")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    machine = dataclasses.asdict(this_machine())
    models = {}
    with tempfile.TemporaryDirectory() as folder:
        jobs = dict(golden_jobs()) | dict(random_jobs(Path(folder)))
        jobs = {
            name: dataclasses.replace(job, growth_seconds=arguments.growth_seconds)
            for name, job in jobs.items()
        }
        fresh = measure_fresh(jobs, repeats=arguments.repeats)
        for name, (cold, memory) in fresh.items():
            many = measure_many(jobs[name], streams=arguments.streams)
            reached = targets(memory, many)
            for line in lines(name, cold, memory, many):
                print(line)
            missed = [target for target, kept in reached.items() if not kept]
            print(f"  targets: {'missed ' + ', '.join(missed) if missed else 'all reached'}")
            results = {"cold": cold, "memory": memory, "many": many}
            models[name] = {key: dataclasses.asdict(value) for key, value in results.items()}
            models[name]["reached"] = reached
    versions = {"torch": torch.__version__, "onnx": onnx.__version__}
    print(machine, versions)
    if arguments.json:
        limits = {"unexplained": UNEXPLAINED, "session_kib": SESSION_KIB, "row_kib": ROW_KIB}
        table = {"models": models, "targets": limits, "machine": machine, "versions": versions}
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
