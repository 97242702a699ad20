"""Everything that is measured on an NVIDIA GPU, in one command, for both golden bundles.

    python tests/benchmarks/cuda.py

Adds fp16 variants to copies of the bundles, checks them on the GPU, and runs what `edgeseq bench
BUNDLE --device cuda --streams 1,4,16,64,256,1024,4096 -o RESULT.json` runs: placement node by node,
latency, device memory, batched streams beside the CPU, and what host copies cost.
Leaves `devices/results/cuda-YYYY-MM-DD-BUNDLE.json`. Commit them, and then write `measured` into
`devices/cuda.toml`. No GPU is an error (exit 1), and so is a compute node that ran on the CPU,
unless `--allow-fallback` is given; int8, which CUDA has no kernels for, is measured only with it.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from edgeseq.bench.latency import HotSettings
from edgeseq.bench.pace import PaceSettings
from edgeseq.bench.results import BenchResult
from edgeseq.bench.run import BenchSettings, bench
from edgeseq.bench.throughput import ThroughputSettings
from edgeseq.bundle import INTEGERS, Bundle
from edgeseq.check import check_bundle
from edgeseq.devices import load_device
from edgeseq.errors import EdgeseqError
from edgeseq.runtime import StreamModel
from edgeseq.workflows.quantize import quantize_bundle

ROOT = Path(__file__).parents[2]
BUNDLES = ("har-lstm", "glucose-transformer")
DEVICE = load_device("cuda")

FULL = BenchSettings(pace=PaceSettings(rate_hz=12.5, seconds=24), streams=ThroughputSettings())
QUICK = BenchSettings(
    hot=HotSettings(rounds=2, block=20),
    chunk_rounds=1,
    gap_repeats=1,
    fresh_processes=1,
    fresh_steps=5,
    floor_processes=0,
    many_streams=0,
    streams=ThroughputSettings(streams=(1, 16), rounds=2, block=5, settle=1),
)
"""For a test that the command works: its numbers mean nothing."""


def with_fp16(source: Path, folder: Path) -> Bundle:
    """Copy the bundle at `source` into `folder`, and give it fp16 variants."""
    copy = Path(shutil.copytree(source, folder / source.name))
    short = HotSettings(rounds=2, block=20)
    return quantize_bundle(copy, "fp16", accuracy=False, hot=short)


def measure(
    bundle: Bundle, settings: BenchSettings, *, provider: str = "cuda", allow_fallback: bool = False
) -> BenchResult:
    """Check and measure a bundle; a promise that breaks on the GPU is a `PromiseError`."""
    names = [
        name
        for name, variant in bundle.manifest.variants.items()
        if variant.precision not in INTEGERS or allow_fallback
    ]
    say(bundle, "check")
    check_bundle(bundle, names, provider=provider).require_kept()
    return bench(
        bundle, variants=names, provider=provider, device=DEVICE, settings=settings,
        allow_fallback=allow_fallback, progress=lambda what, *_: say(bundle, what),
    )  # fmt: skip


def say(bundle: Bundle, what: str) -> None:
    print(f"{bundle.path.name}: {what}", file=sys.stderr)


def run(arguments: argparse.Namespace) -> None:
    day = datetime.now(UTC).date().isoformat()
    # First of all, so that without a GPU it takes no time to say so.
    StreamModel.load(ROOT / "tests/golden" / BUNDLES[0], variant="fp32", provider="cuda")
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        for name in BUNDLES:
            bundle = with_fp16(ROOT / "tests/golden" / name, Path(folder))
            settings = QUICK if arguments.quick else FULL
            result = measure(bundle, settings, allow_fallback=arguments.allow_fallback)
            result.save(arguments.results / f"cuda-{day}-{name}.json")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--allow-fallback", action="store_true", help="also what uses the CPU")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--results", type=Path, default=ROOT / "devices/results")
    try:
        run(parser.parse_args(argv))
    except EdgeseqError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
