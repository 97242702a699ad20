"""At a sensor's rate: edgeseq against what `torch.onnx.export` and ONNX Runtime's defaults give.

    python tests/benchmarks/paced.py

The models and B are those of `baseline.py`. Every 10 ms one frame, as an app gets it; all of them
in one run, in alternating segments, each with a session of its own that is closed at its end.
Nothing is pinned: B's pool has the threads that ONNX Runtime gives it. Two steps lie between B and
edgeseq and are shown apart: B's file with one thread that does not spin, and edgeseq's file with
ONNX Runtime's default session.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from baseline import ONE_THREAD, TARGETS, candidates

from edgeseq.bench.candidate import Candidate, of_file
from edgeseq.bench.conditions import Watch
from edgeseq.bench.machine import this_machine
from edgeseq.bench.pace import Paced, PaceSettings, measure_paced
from edgeseq.bench.subjects import ONNXRUNTIME

VARIANTS = ("fp32", "step", "step-int8")


def contenders(spec: object, folder: Path) -> list[Candidate]:
    """Return B, edgeseq's variants, and what lies between."""
    found = {candidate.name: candidate for candidate in candidates(spec, folder)}
    default = of_file(
        "fp32, default session", folder / "fp32.onnx", found["B"].frames,
        provider="cpu", settings=ONNXRUNTIME,
    )  # fmt: skip
    return [found["B"], found[ONE_THREAD], default, *(found[name] for name in VARIANTS)]


def line(name: str, paced: Paced) -> str:
    share = paced.cpu_seconds_per_hour / 36
    return (
        f"  {name:22s} p50 {paced.step.p50_us:6.1f} us  p99 {paced.step.p99_us:7.1f} us  "
        f"missed {paced.missed:3d} of {paced.frames}  CPU {paced.cpu_seconds_per_hour:7.1f} s/hour "
        f"({share:.1f} % of a core)  jitter p99 {paced.jitter_p99_us:.0f} us"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each candidate")
    parser.add_argument("--json", type=Path, help="also write the result here")
    arguments = parser.parse_args()
    settings = PaceSettings(arguments.rate, arguments.seconds)
    machine, watch, models = this_machine(), Watch(), {}
    for name, target in TARGETS.items():
        print(name)
        with tempfile.TemporaryDirectory() as folder:
            found, harness = measure_paced(contenders(target.spec, Path(folder)), settings)
        for candidate, paced in {**found, "(the loop alone)": harness}.items():
            print(line(candidate, paced))
        models[name] = {
            candidate: {
                "p50_us": paced.step.p50_us,
                "p99_us": paced.step.p99_us,
                "missed": paced.missed,
                "frames": paced.frames,
                "jitter_p99_us": paced.jitter_p99_us,
                "cpu_seconds_per_hour": paced.cpu_seconds_per_hour,
            }
            for candidate, paced in {**found, "harness": harness}.items()
        }
    table = {
        "settings": dataclasses.asdict(settings),
        "models": models,
        "machine": dataclasses.asdict(machine),
        "conditions": dataclasses.asdict(watch.read(None)),
    }
    print(table["conditions"], file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
