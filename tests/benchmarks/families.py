"""Every family from training to a stream without end: one row a family, every cell measured.

    python tests/benchmarks/families.py                      # trains what is missing: an hour
    python tests/benchmarks/families.py --family gru --frames 1e6

A family is trained on its task, exported, quantized and checked as a user would do it, with the
defaults. Parity is the export's gate over 10,000 real frames; chunks, streams and the rest are
what `edgeseq check` found, the worst over all variants; endless is `endless.py` on the fp32 graph.
"""

import argparse
import dataclasses
import json
import platform
import time
from pathlib import Path
from typing import Any

import endless
import numpy as np

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.check import check_bundle
from edgeseq.check.findings import Finding
from edgeseq.families import FAMILIES
from edgeseq.workflows.export import export_run
from edgeseq.workflows.quantize import quantize_bundle
from edgeseq.workflows.train import TrainRequest, train

TASK = "har"
TASKS = {"decoder": "text", "vit": "images", "cnn": "images"}
"""What a family is made for, where that is another task."""
RESULT = Path(__file__).parent / "results" / "families.json"


def main() -> None:
    """Measure the families that are asked for, and write each as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--params", type=int, default=20_000)
    parser.add_argument("--frames", type=float, default=endless.FRAMES)
    parser.add_argument("--runs", type=Path, default=Path("runs/families"))
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    table = json.loads(arguments.json.read_text()) if arguments.json.exists() else {"rows": []}
    for family in arguments.family:
        print(family, flush=True)
        bundle = made(family, arguments.params, arguments.runs / family)
        row = measured(family, bundle, int(arguments.frames))
        rows = {found["family"]: found for found in [*table["rows"], row]}
        table = {
            "command": "python tests/benchmarks/families.py",
            "created": time.strftime("%Y-%m-%d"),
            "machine": dataclasses.asdict(this_machine()),
            "versions": {"NumPy": np.__version__, "platform": platform.machine()},
            "rows": [rows[name] for name in FAMILIES if name in rows],
        }
        files.write_json(arguments.json, table)


def made(family: str, params: int, folder: Path) -> Bundle:
    """Return the family's bundle, quantized; train and export it first where it is missing."""
    run, path = folder / "run", folder / "bundle"
    if not (path / "manifest.json").exists():
        task = TASKS.get(family, TASK)
        train(TrainRequest(task, family, params, resume=True), run)
        export_run(run, path)
    bundle = load_bundle(path)
    return bundle if "int8" in bundle.manifest.variants else quantize_bundle(path)


def measured(family: str, bundle: Bundle, frames: int) -> dict[str, Any]:
    """Return the family's row."""
    manifest = bundle.manifest
    fp32, int8 = bundle.variant("fp32"), bundle.variant("int8")
    report = check_bundle(bundle)
    found = [
        (bundle.variant(name).precision, item)
        for name, items in report.variants.items()
        for item in items
    ]
    return {
        "family": family,
        "task": manifest.origin.task,
        "parameters": manifest.origin.parameters,
        "fp32": dataclasses.asdict(fp32.accuracy) if fp32.accuracy else None,
        "int8": dataclasses.asdict(int8.accuracy) if int8.accuracy else None,
        "baselines": {k: dataclasses.asdict(v) for k, v in manifest.origin.baselines.items()},
        "int8 weights": int8.census.int8_weights if int8.census else None,
        "variants": {name: variant.bytes for name, variant in manifest.variants.items()},
        "form": fp32.contract.form,
        "state bytes": fp32.contract.state_bytes,
        "parity": {
            name: dataclasses.asdict(variant.parity)
            for name, variant in manifest.variants.items()
            if variant.parity
        },
        "promises": {
            promise: _worst([(kind, item) for kind, item in found if item.promise == promise])
            for promise in dict.fromkeys(item.promise for _, item in found)
        },
        "endless": dataclasses.asdict(endless.followed(bundle, "fp32", frames)),
    }


def _worst(items: list[tuple[str, Finding]]) -> dict[str, Any]:
    """Return what became of a promise, broken if it is so anywhere, and its largest figures."""
    status = next(
        (s for s in ("broken", "kept") if any(item.status == s for _, item in items)),
        "not checked",
    )
    figures = {
        kind: max(item.measured for of, item in items if of == kind and item.measured is not None)
        for kind in dict.fromkeys(of for of, item in items if item.measured is not None)
    }
    note = next((item.note for _, item in items if item.status == status), "")
    return {"status": status, "note": note, **figures}


if __name__ == "__main__":
    main()
