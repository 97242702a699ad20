"""The roofline of one core, and what share of its peak models reach, by streams and frames a call.

    python tests/benchmarks/roofline.py                                  # minutes; a quiet machine
    python tests/benchmarks/roofline.py --rounds 3 --family lstm         # a glance

Every row is a cell as the claims run it, in a process of its own. What a call could reach at most
is the roof over its intensity, at the level of the caches that holds all the bytes that it moves.
"""

import argparse
import dataclasses
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from edgeseq import files
from edgeseq.bench.bandwidth import Cache, level_of
from edgeseq.bench.machine import this_machine

RESULT = Path(__file__).parent / "results" / "roofline.json"
CALLS = ((1, 1), (32, 1), (1, 128), (32, 128))
"""Streams and frames of a call."""
STEPS = ((16, 32), (16, 128))
"""The same of a step of training."""


def main() -> None:
    """Measure, print, and write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", nargs="+", default=["lstm", "transformer"])
    parser.add_argument("--params", type=int, default=50_000)
    parser.add_argument("--task", default="har")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, nargs="?", const=RESULT, help="also write it here")
    arguments = parser.parse_args()
    machine, load = dataclasses.asdict(this_machine()), os.getloadavg()[0]
    roof = cell("roofline", {"rounds": arguments.rounds})
    print_roofline(roof)
    rows = []
    for family in arguments.family:
        for what, sizes in (("inference", CALLS), ("training", STEPS)):
            for batch, length in sizes:
                settings = {
                    "family": family, "params": arguments.params, "task": arguments.task,
                    "batch": batch, "length": length, "what": what, "rounds": arguments.rounds,
                }  # fmt: skip
                row = settings | cell("achieved", settings)
                rows.append(row | roof_over(row, roof))
                print(line(rows[-1]), flush=True)
    if arguments.json:
        table = {
            "command": "python tests/benchmarks/roofline.py --json",
            "created": time.strftime("%Y-%m-%d"),
            "machine": machine,
            "load": round(load, 2),
            "roofline": roof,
            "achieved": rows,
        }
        files.write_json(arguments.json, table)


def cell(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one cell in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (kind, settings))


def run(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one cell here."""
    from edgeseq.workflows.claims import machine

    with tempfile.TemporaryDirectory() as folder:
        return getattr(machine, kind)(settings, Path(folder))


def roof_over(row: dict[str, Any], roof: dict[str, Any]) -> dict[str, Any]:
    """Return the level that holds a call's bytes, and what could be reached there."""
    caches = [Cache(level, kib) for level, kib in roof["caches_kib"].items()]
    level = level_of(-(-row["bytes"] // 1024), caches)
    bandwidth = roof["levels"][level]["gbs"]
    attainable = min(roof["peak_gflops"][0], row["intensity"] * bandwidth)
    return {"level": level, "attainable_gflops": round(attainable, 2)}


def print_roofline(roof: dict[str, Any]) -> None:
    """Print peaks and bandwidths."""
    for row in roof["products"]:
        print(f"{row['by']:13s} {row['dtype']:8s} {row['size']:5d}  {row['gops'][0]:7.1f} GOP/s")
    for row in roof["bandwidths"]:
        rates = "  ".join(f"{name} {row[name][0]:6.1f}" for name in ("read", "copy", "add"))
        print(f"{row['kib']:7d} KiB  {row['level']:6s}  {rates}  GB/s")
    for level, row in roof["levels"].items():
        print(f"{level:6s} {row['gbs']:6.1f} GB/s, its knee at {row['knee']:.2f} operations a byte")


def line(row: dict[str, Any]) -> str:
    """One model's share of the peak."""
    first = next(iter(row.get("operators", {"": 0}).items()))
    share, low, high = row["share"]
    return (
        f"{row['family']:12s} {row['what']:9s} {row['batch']:3d} x {row['length']:4d}  "
        f"{row['gflops'][0]:6.2f} of {row['peak_gflops'][0]:5.1f} GFLOP/s = {share:.1%} "
        f"[{low:.1%}, {high:.1%}]  {row['intensity']:7.2f} operations a byte ({row['level']}, "
        f"at most {row['attainable_gflops']:.1f})  {row['us_per_frame'][0]:7.2f} µs a frame"
        + (f"  most in {first[0]}, {first[1]:.0%}" if first[0] else "")
    )


if __name__ == "__main__":
    main()
