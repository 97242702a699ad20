"""Train both families on every fold of `har` and write the table of results.

    python tests/benchmarks/har_folds.py            # 5 folds x 3 seeds x 2 families, 15 minutes
    python tests/benchmarks/har_folds.py --ablation # what augmentation earns, on validation people

Runs are kept in RUNS and resumed; the table goes to `tests/benchmarks/results/`.
"""

import argparse
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq import files
from edgeseq.tasks import load_task
from edgeseq.tasks.base import Score
from edgeseq.workflows.folds import (
    FoldRun,
    fold_baselines,
    paired_difference,
    run_folds,
    subject_means,
)

TASK, FAMILIES, PARAMETERS, SEEDS = "har", ("lstm", "transformer"), 50_000, (0, 1, 2)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Parse the command line, train what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/har_folds"), help="kept runs")
    parser.add_argument("--workers", type=int, default=1, help="processes, one core each")
    parser.add_argument("--ablation", action="store_true", help="judge augmentation instead")
    arguments = parser.parse_args()
    make = ablation if arguments.ablation else table
    name, result, text = make(arguments.runs, arguments.workers)
    files.write_json(RESULTS / f"{name}.json", result)
    files.write_text(RESULTS / f"{name}.md", text)
    print(text)


def table(runs_dir: Path, workers: int) -> tuple[str, dict[str, Any], str]:
    """Every fold and seed on the test people, baselines beside."""
    folds = range(load_task(TASK).folds)
    runs = run_folds(
        TASK, FAMILIES, PARAMETERS, SEEDS, runs_dir, workers=workers, progress=announce
    )
    baselines = fold_baselines(TASK, folds, runs_dir)
    scores = {name: [fold[name] for fold in baselines] for name in baselines[0]}
    scores |= {family: [run.test for run in of(runs, family)] for family in FAMILIES}
    pairs = [("transformer", "lstm"), *((family, "random forest") for family in FAMILIES)]
    result = {
        "command": "python tests/benchmarks/har_folds.py",
        "machine": machine(),
        "mean": {name: mean(values) for name, values in scores.items()},
        "differences": {
            f"{a} - {b}": asdict(paired_difference(scores[a], scores[b])) for a, b in pairs
        },
        "subjects": {name: subject_means(values) for name, values in scores.items()},
        "runs": [asdict(run) for run in runs],
        "baselines": [{name: asdict(score) for name, score in fold.items()} for fold in baselines],
    }
    return "har_folds", result, table_text(result, runs, baselines)


def table_text(
    result: dict[str, Any], runs: Sequence[FoldRun], baselines: Sequence[dict[str, Score]]
) -> str:
    """Return the results as a page of Markdown."""
    rows = [
        [name, "", "", *(f"{fold[name].value:.1f}" for fold in baselines), mean_of(result, name)]
        for name in baselines[0]
    ]
    for family in FAMILIES:
        for seed in SEEDS:
            own = [run for run in of(runs, family) if run.seed == seed]
            values = [run.test.value for run in own]
            cells = [f"{value:.1f}" for value in values]
            rows.append(
                [family, str(seed), seconds(own), *cells, f"{np.mean(values):.2f}"],
            )
        rows.append(
            [
                family,
                "all",
                seconds(of(runs, family)),
                *by_fold(runs, family),
                mean_of(result, family),
            ]
        )
    head = ["model", "seed", "s/run", *(f"fold {fold}" for fold in range(len(baselines))), "mean"]
    parameters = {run.family: run.parameters for run in runs}
    sizes = ", ".join(f"{family} {count:,} parameters" for family, count in parameters.items())
    return f"""# har: window accuracy %, people never seen

2-second windows from a reset state, 5 folds of 2 unseen people each. Of the other eight, one is
kept apart for early stopping and joins the training in the refit at the end; the random forest is
fitted on all eight. {sizes}.

Settings shared by all folds were chosen by training on six people and judging two others, never
the two of the fold at hand; still, every person is a test person of some fold, so no setting that
all folds share is fully blind.

{markdown(head, rows)}

{markdown(["person", *result["subjects"]], person_rows(result))}

Paired over people, seeds averaged (mean difference ± standard error, points):
{differences(result)}

With 10 people a difference below about two standard errors says nothing about people in general;
more seeds only sharpen the statement about these ten.

{footer(result)}
"""


def ablation(runs_dir: Path, workers: int) -> tuple[str, dict[str, Any], str]:
    """With and without augmentation on the validation people, who chose nothing here."""
    arms = {}
    for name, changes in {"augmented": {}, "plain": {"augment": False, "refit": 0.0}}.items():
        directory = runs_dir if name == "augmented" else runs_dir / "plain"
        arms[name] = run_folds(
            TASK, FAMILIES, PARAMETERS, (0,), directory, changes=changes, workers=workers,
            progress=announce,
        )  # fmt: skip
    rows = []
    result: dict[str, Any] = {
        "command": "python tests/benchmarks/har_folds.py --ablation",
        "machine": machine(),
        "validation_of_last_weights": {},
    }
    for family in FAMILIES:
        values = {
            name: np.array([run.last_validation for run in of(runs, family)])
            for name, runs in arms.items()
        }
        gain = values["augmented"] - values["plain"]
        error = gain.std(ddof=1) / len(gain) ** 0.5
        result["validation_of_last_weights"][family] = {
            name: numbers.tolist() for name, numbers in values.items()
        }
        for name, numbers in values.items():
            rows.append([family, name, *(f"{n:.1f}" for n in numbers), f"{numbers.mean():.2f}"])
        cells = [f"{number:+.1f}" for number in gain]
        rows.append([family, "gain", *cells, f"{gain.mean():+.2f} ± {error:.2f}"])
    head = ["model", "training", *(f"fold {fold}" for fold in range(len(gain))), "mean"]
    text = f"""# har: what augmentation earns

Window accuracy % of the last weights on each fold's validation person, seed 0; nothing was chosen
by it (the last weights, not the best). The gain is paired over five people, ± standard error.

{markdown(head, rows)}

{footer(result)}
"""
    return "har_ablation", result, text


def announce(run: FoldRun) -> None:
    print(
        f"{run.family} fold {run.fold} seed {run.seed}: test {run.test.value:.2f} % "
        f"(validation {run.validation.value:.2f}, step {run.best_step}, {run.seconds:.0f} s)",
        flush=True,
    )


def of(runs: Sequence[FoldRun], family: str) -> list[FoldRun]:
    return [run for run in runs if run.family == family]


def mean(scores: Sequence[Score]) -> float:
    return float(np.mean([score.value for score in scores]))


def mean_of(result: dict[str, Any], name: str) -> str:
    return f"**{result['mean'][name]:.2f}**"


def by_fold(runs: Sequence[FoldRun], family: str) -> list[str]:
    folds = sorted({run.fold for run in runs})
    return [f"{mean([r.test for r in of(runs, family) if r.fold == fold]):.1f}" for fold in folds]


def seconds(runs: Sequence[FoldRun]) -> str:
    return f"{np.mean([run.seconds for run in runs]):.0f}"


def person_rows(result: dict[str, Any]) -> list[list[str]]:
    subjects = result["subjects"]
    people = sorted(next(iter(subjects.values())))
    return [[person, *(f"{means[person]:.1f}" for means in subjects.values())] for person in people]


def differences(result: dict[str, Any]) -> str:
    return "\n".join(
        f"- {pair}: {value['mean']:+.2f} ± {value['standard_error']:.2f}"
        for pair, value in result["differences"].items()
    )


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def footer(result: dict[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    return f"Made by `{result['command']}`, one thread a run. {facts}."


def machine() -> dict[str, str]:
    import sklearn
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return {
        "CPU": cpu or platform.processor(),
        "Python": platform.python_version(),
        "torch": str(torch.__version__),
        "NumPy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }


if __name__ == "__main__":
    main()
