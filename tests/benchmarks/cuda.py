"""Everything that is measured on an NVIDIA GPU, in one command, for both golden bundles.

    python tests/benchmarks/cuda.py

Adds fp16 variants to copies of the bundles, then checks them, places them node by node, and
measures latency, device memory, batched streams beside the CPU, and what host copies cost.
Leaves `devices/results/cuda-YYYY-MM-DD-BUNDLE.json`, each what `edgeseq bench BUNDLE --device cuda
--json` prints, and `tests/benchmarks/results/cuda.json` with the rest. Commit them, and then write
`measured` into `devices/cuda.toml`. No GPU is an error (exit 1), and so is a compute node that ran
on the CPU, unless `--allow-fallback` is given.
"""

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq.bench.copies import measure_copies
from edgeseq.bench.gpu import gpu_facts, measure_device_memory
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import this_machine
from edgeseq.bench.pace import PaceSettings
from edgeseq.bench.placement import Placement, measure_placement, require_placed
from edgeseq.bench.run import BenchSettings, bench
from edgeseq.bench.throughput import Batch, ThroughputSettings, measure_throughput
from edgeseq.bundle import Bundle
from edgeseq.check import check_bundle
from edgeseq.devices import load_device
from edgeseq.errors import EdgeseqError, PromiseError
from edgeseq.files import write_json
from edgeseq.runtime import StreamModel
from edgeseq.workflows.quantize import quantize_bundle

ROOT = Path(__file__).parents[2]
BUNDLES = ("har-lstm", "glucose-transformer")
DEVICE = load_device("cuda")


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long everything takes."""

    bench: BenchSettings
    streams: ThroughputSettings
    memory_streams: tuple[int, ...]
    repeats: int
    """Fresh processes for device memory."""


FULL = Effort(
    BenchSettings(hot=HotSettings(), pace=PaceSettings(rate_hz=12.5, seconds=10)),
    ThroughputSettings(),
    memory_streams=(1, 1024),
    repeats=5,
)
QUICK = Effort(
    BenchSettings(hot=HotSettings(rounds=2, block=20, warmup=5), fresh_processes=1, fresh_steps=5),
    ThroughputSettings(streams=(1, 16), rounds=2, block=5, settle=1),
    memory_streams=(1,),
    repeats=1,
)
"""For a test that the command works: its numbers mean nothing."""


def with_fp16(source: Path, folder: Path) -> Bundle:
    """Copy the bundle at `source` into `folder`, and give it fp16 variants."""
    copy = Path(shutil.copytree(source, folder / source.name))
    short = HotSettings(rounds=2, block=20, warmup=5)
    return quantize_bundle(copy, "fp16", accuracy=False, hot=short)


def placements(
    bundle: Bundle, provider: str, *, allow_fallback: bool
) -> tuple[dict[str, Placement], tuple[str, ...]]:
    """Place every variant; return them, and the names of those that are measured.

    int8 has no kernels on CUDA: without `--allow-fallback` its placement is all that is reported.
    """
    placed: dict[str, Placement] = {}
    for name, variant in bundle.manifest.variants.items():
        placed[name] = measure_placement(bundle.file(name), provider, DEVICE.session)
        if variant.precision != "int8":
            require_placed(placed[name], allow_fallback=allow_fallback, variant=name)
    whole = [name for name, item in placed.items() if allow_fallback or not item.fallback]
    return placed, tuple(sorted(whole, key=lambda name: "fp16" in name))


def measure(
    bundle: Bundle, effort: Effort, *, provider: str = "cuda", allow_fallback: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Return the bench result of a bundle, and everything else as JSON values."""
    say(bundle, "placement")
    placed, names = placements(bundle, provider, allow_fallback=allow_fallback)
    say(bundle, "check")
    report = check_bundle(bundle, names, provider=provider)
    say(bundle, "latency")
    result = bench(bundle, variants=names, provider=provider, device=DEVICE, settings=effort.bench)
    models = {
        name: StreamModel.load(
            bundle.path, variant=name, provider=provider, settings=DEVICE.session
        )
        for name in names
    }
    frames = np.ascontiguousarray(bundle.reference["frames"], np.float32)
    say(bundle, "copies")
    copies = {
        name: [measure_copies(model, frames, streams=n) for n in effort.memory_streams]
        for name, model in models.items()
    }
    say(bundle, "streams")
    batches = [Batch(name, model) for name, model in models.items()]
    batches += [Batch(name, StreamModel.load(bundle.path, variant=name)) for name in names]
    streams = measure_throughput(batches, frames, effort.streams)
    say(bundle, "device memory")
    rest = {
        "placement": {name: dataclasses.asdict(item) for name, item in placed.items()},
        "check": {
            "ok": report.ok,
            "broken": [f"{name}: {found.sentence}" for name, found in report.broken],
        },
        "copies": {name: list(map(dataclasses.asdict, costs)) for name, costs in copies.items()},
        "throughput": dataclasses.asdict(streams),
        "device_memory": {name: memory(bundle, name, provider, effort) for name in names},
    }
    return result, rest


def memory(bundle: Bundle, name: str, provider: str, effort: Effort) -> list[dict[str, Any]]:
    """Return the device memory of one variant for few and for many streams, or why it is none."""
    frame = tuple(float(value) for value in bundle.reference["frames"][0])
    measured = []
    for streams in effort.memory_streams:
        found, reason = measure_device_memory(
            bundle.path, frame, DEVICE.session, variant=name, streams=streams,
            repeats=effort.repeats, provider=provider,
        )  # fmt: skip
        parts = dataclasses.asdict(found) if found else None
        measured.append({"streams": streams, "memory": parts, "not_measured": reason})
    return measured


def say(bundle: Bundle, what: str) -> None:
    print(f"{bundle.path.name}: {what}", file=sys.stderr)


def run(arguments: argparse.Namespace) -> None:
    effort = QUICK if arguments.quick else FULL
    day = datetime.now(UTC).date().isoformat()
    # First of all, so that without a GPU it takes no time to say so.
    StreamModel.load(ROOT / "tests/golden" / BUNDLES[0], variant="fp32", provider="cuda")
    gpu, reason = gpu_facts()
    table: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": dataclasses.asdict(this_machine()),
        "gpu": dataclasses.asdict(gpu) if gpu else {"not_measured": reason},
        "bundles": {},
    }
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        for name in BUNDLES:
            bundle = with_fp16(ROOT / "tests/golden" / name, Path(folder))
            result, rest = measure(bundle, effort, allow_fallback=arguments.allow_fallback)
            result.save(arguments.results / f"cuda-{day}-{name}.json")
            table["bundles"][name] = rest
    write_json(arguments.rest, table)
    broken = [line for rest in table["bundles"].values() for line in rest["check"]["broken"]]
    if broken:
        raise PromiseError(f"measured, but {'; '.join(broken)}. See {arguments.rest}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--allow-fallback", action="store_true", help="also what uses the CPU")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--results", type=Path, default=ROOT / "devices/results")
    parser.add_argument("--rest", type=Path, default=ROOT / "tests/benchmarks/results/cuda.json")
    try:
        run(parser.parse_args(argv))
    except EdgeseqError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
