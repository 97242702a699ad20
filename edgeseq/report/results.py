"""Many results of `bench` as one: what each is called, where it ran, and its figures in tables."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeseq.bench.contributed import check_contribution, load_result
from edgeseq.bench.machine import Machine
from edgeseq.bench.results import BenchResult, VariantResult
from edgeseq.errors import UsageError
from edgeseq.report.bench import bench_sheets
from edgeseq.report.html.look import scored
from edgeseq.report.numbers import NOT_MEASURED, short
from edgeseq.report.sheet import Sheet, as_markdown

WORDS = ("fail", "not checked", "pass")
APART = (
    "What stands in one result took turns on one machine. Nothing took turns between two results: "
    "their times stand side by side, they are no comparison. For that: edgeseq compare OLD NEW, "
    "or both bundles in one edgeseq bench."
)


@dataclass(frozen=True)
class Run:
    """One result, and what it is called in a report."""

    letter: str
    """`A` for the first one; its variants are `A1`, `A2` and so on."""
    file: str
    """Name of its file; with its folder where two files share a name."""
    result: BenchResult

    def label(self, number: int) -> str:
        """Return what the variant with this number, from 0, is called in figures."""
        return f"{self.letter}{number + 1}"

    @property
    def title(self) -> str:
        """Its letter with its file."""
        return f"{self.letter}: {self.file}"

    @property
    def place(self) -> str:
        """What ran it, in a few words."""
        result = self.result
        providers = ", ".join(sorted({variant.provider for variant in result.variants}))
        board = result.machine.board or result.machine.cpu
        return f"{board}, {providers or 'no provider'}"

    @property
    def device(self) -> str:
        """The profile, and whether it ran there."""
        if self.result.device is None:
            return "none"
        return self.result.device + ("" if self.result.is_device else " (not this machine)")

    @property
    def promises(self) -> str:
        """How many promises were kept, broke, or could not be checked."""
        found = [item.verdict for item in self.result.budget]
        said = [f"{found.count(word)} {word}" for word in WORDS if word in found]
        return ", ".join(said) or "none"


def load_runs(paths: Sequence[Path], *, contributed: bool = False) -> tuple[Run, ...]:
    """Read all results, or raise `EdgeseqError` for the first that cannot be read.

    Args:
        paths: files, in the order in which they are shown.
        contributed: refuse what could not be added to `devices/results/`.

    Raises:
        UsageError: a file is named twice.
        EdgeseqError: a file holds no such result, or one that contradicts itself.
    """
    seen = [path.resolve() for path in paths]
    if twice := [str(path) for path, real in zip(paths, seen, strict=True) if seen.count(real) > 1]:
        raise UsageError(f"{twice[0]}: named twice; name each result once")
    read = check_contribution if contributed else load_result
    names = [path.name for path in paths]
    return tuple(
        Run(letters(number), path.name if names.count(path.name) == 1 else str(path), read(path))
        for number, path in enumerate(paths)
    )


def letters(number: int) -> str:
    """Return A to Z, then AA and so on.

    >>> letters(0), letters(25), letters(26), letters(701), letters(702)
    ('A', 'Z', 'AA', 'ZZ', 'AAA')
    """
    more, last = divmod(number, 26)
    return (letters(more - 1) if more else "") + chr(ord("A") + last)


def machines(runs: Iterable[Run]) -> dict[Machine, list[Run]]:
    """Group runs by the machine and its software; the load of the moment does not matter."""
    found: dict[Machine, list[Run]] = {}
    for run in runs:
        found.setdefault(replace(run.result.machine, load_1m=None), []).append(run)
    return found


def headline(runs: Sequence[Run]) -> str:
    """Say what there is: `5 variants in 2 results from 1 machine: measured`."""
    variants = sum(len(run.result.variants) for run in runs)
    statuses = [run.result.status for run in runs]
    kinds = sorted(set(statuses), key=("measured", "emulated", "estimated").index)
    said = ", ".join(
        kind if len(kinds) == 1 else f"{statuses.count(kind)} {kind}" for kind in kinds
    )
    return (
        f"{_count(variants, 'variant')} in {_count(len(runs), 'result')} from "
        f"{_count(len(machines(runs)), 'machine')}: {said}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def reproduce(run: Run) -> str:
    """Return the command that measures the same; what a result does not keep is left out."""
    result = run.result
    names = list(dict.fromkeys(variant.variant for variant in result.variants))
    bundles = list(dict.fromkeys(_bundle(variant) for variant in result.variants))
    sessions = list(dict.fromkeys(map(_session, result.variants)))
    words = ["edgeseq", "bench", *bundles]
    if len(result.variants) == len(bundles) * len(names) * len(sessions):
        words += [word for name in names for word in ("--variant", name)]
    words += [word for change in sessions if change for word in ("--session", change)]
    if {variant.provider for variant in result.variants} == {"cuda"}:
        words += ["--provider", "cuda"]
    if result.device:
        words += ["--device", result.device]
    pace, hot = result.pace_settings, result.hot_settings
    words += ["--rate", f"{pace.rate_hz:g}"] if pace else []
    words += ["--seconds", f"{pace.seconds:g}" if pace else "0", "--rounds", str(hot.rounds)]
    memory = next((variant.memory for variant in result.variants if variant.memory), None)
    words += ["--fresh", str(memory.repeats if memory else 0)]
    words += [] if hot.pin is None else ["--pin", str(hot.pin)]
    return shlex.join([*words, "-o", Path(run.file).name])


def _bundle(variant: VariantResult) -> str:
    """Return the bundle as it was typed, where two share a name, else its directory's name."""
    path, slash, _ = variant.name.removesuffix(_session(variant)).rstrip().rpartition("/")
    return path if slash else variant.bundle


def _session(variant: VariantResult) -> str:
    """Return the change of session settings that is the end of a variant's name, or nothing."""
    _, space, change = variant.name.rpartition(" ")
    return change if space and (change == "onnxruntime" or "=" in change) else ""


def overview(runs: Sequence[Run]) -> list[Sheet]:
    """Return what there is: results, machines, and every variant's main figures."""
    return [_runs(runs), _machines(runs), variants(runs)]


def _runs(runs: Sequence[Run]) -> Sheet:
    rows = [
        (
            run.letter, run.file, run.result.status, run.result.created[:10], run.device,
            run.place, run.promises, run.result.edgeseq,
        )
        for run in runs
    ]  # fmt: skip
    heads = ("result", "file", "status", "date", "device", "ran on", "promises", "edgeseq")
    return Sheet(heads, tuple(rows), (APART,))


def _machines(runs: Sequence[Run]) -> Sheet:
    rows = [
        (
            machine.board or machine.cpu,
            ", ".join(run.letter for run in found),
            machine.architecture,
            " ".join(machine.flags) or NOT_MEASURED,
            str(machine.cores),
            NOT_MEASURED if machine.memory_mib is None else short(machine.memory_mib / 1024),
            {True: "yes", False: "no", None: NOT_MEASURED}[machine.virtualised],
            machine.governor or NOT_MEASURED,
            machine.system,
            machine.onnxruntime or "none",
            f"{machine.python}, NumPy {machine.numpy}",
        )
        for machine, found in machines(runs).items()
    ]
    heads = (
        "machine", "results", "architecture", "flags", "cores>", "GiB>", "virtual", "governor",
        "system", "ONNX Runtime", "Python",
    )  # fmt: skip
    return Sheet(heads, tuple(rows))


def variants(runs: Sequence[Run]) -> Sheet:
    """Return one row a variant, its status beside its name."""
    rows = [
        (run.label(number), variant.name, run.result.status, *_figures(variant))
        for run in runs
        for number, variant in enumerate(run.result.variants)
    ]
    heads = (
        "mark", "variant", "status", "task", "accuracy>", "parameters>", "file KiB>", "hot p50 µs>",
        "hot p99 µs>", "paced at Hz>", "paced p50 µs>", "paced p99 µs>", "missed>", "peak MiB>",
        "model MiB>", "CPU s/hour>",
    )  # fmt: skip
    return Sheet(heads, tuple(rows))


def _figures(variant: VariantResult) -> Iterator[str]:
    paced, memory = variant.paced, variant.memory
    yield variant.task
    yield scored(variant.accuracy) if variant.accuracy else NOT_MEASURED
    yield f"{variant.parameters:,}"
    yield from map(short, (variant.file_kib, variant.hot.p50_us, variant.hot.p99_us))
    yield f"{paced.rate_hz:g}" if paced else NOT_MEASURED
    yield _maybe(paced.step.p50_us if paced else None)
    yield _maybe(paced.step.p99_us if paced else None)
    yield f"{paced.missed:,} of {paced.frames:,}" if paced else NOT_MEASURED
    yield _maybe(memory.peak_rss_mib if memory else None)
    yield _maybe(memory.attributable_rss_mib if memory else None)
    yield _maybe(paced.cpu_seconds_per_hour if paced else None)


def _maybe(value: float | None) -> str:
    return NOT_MEASURED if value is None else short(value)


def result_sheets(run: Run) -> list[Sheet]:
    """Return everything that one result says, its promises first."""
    return sorted(bench_sheets(run.result), key=lambda sheet: sheet.columns[:1] != ("promise",))


def markdown_page(runs: Sequence[Run]) -> str:
    """Return all tables as one Markdown page."""
    parts = [f"# edgeseq report\n\n{headline(runs)}.\n", as_markdown(overview(runs), title="All")]
    for run in runs:
        again = Sheet((), (), (f"The same again: `{reproduce(run)}`",))
        title = f"{run.title}, {run.result.status} on {run.place}"
        parts.append(as_markdown([*result_sheets(run), again], title=title))
    return "\n".join(parts)


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return each result's main facts and figures as JSON values."""
    return [
        {
            "result": run.letter,
            "file": run.file,
            "status": run.result.status,
            "created": run.result.created,
            "device": run.result.device,
            "is_device": run.result.is_device,
            "machine": run.result.machine.board or run.result.machine.cpu,
            "onnxruntime": run.result.machine.onnxruntime,
            "promises": {
                word: sum(item.verdict == word for item in run.result.budget) for word in WORDS
            },
            "variants": [
                {"label": run.label(number), **_summary(variant)}
                for number, variant in enumerate(run.result.variants)
            ],
            "command": reproduce(run),
        }
        for run in runs
    ]


def _summary(variant: VariantResult) -> dict[str, Any]:
    paced, memory, accuracy = variant.paced, variant.memory, variant.accuracy
    return {
        "name": variant.name,
        "sha256": variant.sha256,
        "task": variant.task,
        "provider": variant.provider,
        "metric": accuracy and accuracy.metric,
        "accuracy": accuracy and accuracy.value,
        "file_kib": variant.file_kib,
        "hot_p50_us": variant.hot.p50_us,
        "hot_p99_us": variant.hot.p99_us,
        "paced_p50_us": paced and paced.step.p50_us,
        "paced_p99_us": paced and paced.step.p99_us,
        "missed": paced and paced.missed,
        "peak_rss_mib": memory and memory.peak_rss_mib,
        "attributable_rss_mib": memory and memory.attributable_rss_mib,
        "cpu_seconds_per_hour": paced and paced.cpu_seconds_per_hour,
    }
