"""Can the benchmark be believed? Many runs of a model against itself, and against a slower self.

    python tests/benchmarks/regression.py --runs 100

Every run is a process of its own. In it the same file runs twice (A and again) and once with a
loop added that takes a tenth of its step (slower), interleaved as in `edgeseq bench`. Then:

- side by side (`edgeseq bench A B --margin 5`): again/A must not fail, slower/A must;
- against a stored result (`edgeseq bench --baseline`): as there, 7 processes make a result, each
  one observation of A in multiples of the floor that took turns with it. A of 7 runs against A of
  the 7 before them must not fail, slower of these against A of those must; every such pair counts.

Nothing is repeated, and no run is left out. Interrupted, the same command goes on.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edgeseq.bench.candidate import Candidate, floor, of_file
from edgeseq.bench.compare import against_baseline, within_margin
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.machine import this_machine
from edgeseq.bench.stats import Ratio
from edgeseq.bench.yardstick import AgainstFloor, summarise
from edgeseq.bundle import load_bundle

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "golden" / "har-lstm"
MARGIN, INJECTED, PROCESSES = 0.05, 0.10, 7


class Slower:
    """A session whose every step is followed by a loop of so many empty iterations."""

    def __init__(self, candidate: Candidate, iterations: int) -> None:
        self.open, self.iterations = candidate.open, iterations

    def __enter__(self) -> "Slower":
        self.context = self.open()
        self.inner = self.context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.context.__exit__(*error)

    def step(self, frame: np.ndarray) -> object:
        output = self.inner.step(frame)
        for _ in range(self.iterations):
            pass
        return output


def iterations(plain: Candidate) -> int:
    """Return how many iterations make a wrapped step take a tenth longer than a plain one.

    Iterations are work: where the machine slows, they slow as steps do. Found in blocks that take
    turns, as steps are timed afterwards: right after another session a step is slower.
    """
    bare, loaded = (
        Candidate(f"{count}", lambda count=count: Slower(plain, count), plain.frames)
        for count in (0, 100)
    )
    found = measure_hot([plain, bare, loaded], HotSettings(rounds=24))
    none, hundred = (found.ratio(name, plain.name).ratio for name in ("0", "100"))
    return round(100 * (1 + INJECTED - none) / (hundred - none))


def one_run(variant: str, rounds: int) -> dict:
    """Measure once, in this process; return the three ratios."""
    bundle = load_bundle(BUNDLE)
    frames = np.ascontiguousarray(bundle.reference["frames"], np.float32)
    settings = bundle.variant(variant).session
    first, again, plain = (
        of_file(name, bundle.file(variant), frames, provider="cpu", settings=settings)
        for name in ("A", "again", "slower")
    )
    extra = iterations(first)
    slower = Candidate("slower", lambda: Slower(plain, extra), frames)
    begin = time.monotonic()
    with floor(settings=settings) as below:
        found = measure_hot([first, again, slower, below], HotSettings(rounds=rounds))
    return {
        "seconds": round(time.monotonic() - begin, 2),
        "iterations": extra,
        "p50_us": found.latencies["A"].p50_us,
        "again": asdict(found.ratio("again", "A")),
        "slower": asdict(found.ratio("slower", "A")),
        "A_floor": asdict(found.ratio("A", "floor")),
        "slower_floor": asdict(found.ratio("slower", "floor")),
    }


def summary(runs: list[dict]) -> dict:
    """Count the verdicts of all runs."""

    def ratio(run: dict, name: str) -> Ratio:
        return Ratio(**run[name])

    ends = range(PROCESSES, len(runs) - PROCESSES + 1)
    pairs = [(runs[end - PROCESSES : end], runs[end : end + PROCESSES]) for end in ends]

    def floor_of(some: list[dict], name: str) -> AgainstFloor:
        return summarise([run[name]["ratio"] for run in some])

    verdicts = {
        "side by side, the same": [within_margin(ratio(run, "again"), MARGIN) for run in runs],
        "side by side, 10 % slower": [within_margin(ratio(run, "slower"), MARGIN) for run in runs],
        "against a stored result, the same": [
            against_baseline("A", floor_of(old, "A_floor"), floor_of(new, "A_floor"), MARGIN)
            for old, new in pairs
        ],
        "against a stored result, 10 % slower": [
            against_baseline("A", floor_of(old, "A_floor"), floor_of(new, "slower_floor"), MARGIN)
            for old, new in pairs
        ],
    }
    processes = np.log([run["A_floor"]["ratio"] for run in runs])
    return {
        "verdicts": {name: Counter(v.verdict for v in found) for name, found in verdicts.items()},
        "again, median of ratios": float(np.median([run["again"]["ratio"] for run in runs])),
        "slower, median of ratios": float(np.median([run["slower"]["ratio"] for run in runs])),
        "A against the floor, standard deviation over processes": float(np.std(processes)),
        "p50 of A, lowest and highest run, us": [
            min(run["p50_us"] for run in runs), max(run["p50_us"] for run in runs),
        ],
        "seconds of a run, longest": max(run["seconds"] for run in runs),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--variant", default="fp32")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "regression.json")
    parser.add_argument("--one", action="store_true", help="one run, as JSON")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_run(arguments.variant, arguments.rounds)))
        return
    asked = {"variant": arguments.variant, "rounds": arguments.rounds}
    table = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    runs = table["runs"] if table.get("asked") == asked else []
    command = [sys.executable, __file__, "--one", "--variant", arguments.variant]
    while len(runs) < arguments.runs:
        done = subprocess.run(
            [*command, "--rounds", str(arguments.rounds)],
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append(json.loads(done.stdout))
        table = {
            "asked": asked, "machine": asdict(this_machine()), "runs": runs,
        }  # fmt: skip
        arguments.json.write_text(json.dumps(table) + "\n")
        print(f"{len(runs)}/{arguments.runs}", file=sys.stderr)
    table["summary"] = summary(runs)
    arguments.json.write_text(json.dumps(table) + "\n")
    print(json.dumps(table["summary"], indent=1))


if __name__ == "__main__":
    main()
