"""What the cells of a folder say of families, sizes and precisions: scores, and what they cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median
from typing import Any

from edgeseq.bench.results import BenchResult
from edgeseq.claims.cell import Cell, Outcome, Result
from edgeseq.claims.effects import Values
from edgeseq.claims.store import Store
from edgeseq.errors import UsageError
from edgeseq.shipped import shipped

PLAIN = {"task", "family", "params", "fold", "seed", "lr", "length", "share"}
"""Settings of a training as it is shipped; others are experiments: no positions, broken."""
SAME_SIZE = 0.1
"""Share by which the parameters of a benchmark's model may differ from those of a training."""


@dataclass(frozen=True)
class Costs:
    """What a file costs where it was measured; none: not measured."""

    kib: float | None = None
    """Size of the ONNX file."""
    hot_us: float | None = None
    """Median step, one after the other."""
    paced_us: float | None = None
    """Median step, one a period."""
    memory_mib: float | None = None
    """Peak, on top of a session that does nothing."""
    cpu_s_per_hour: float | None = None
    """Of the whole process, paced."""

    def filled(self, other: "Costs") -> "Costs":
        """Return these costs, with `other`'s where there are none."""
        return Costs(*(_or(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))


@dataclass(frozen=True)
class Known:
    """One model that could be chosen, on one task and share of its data."""

    family: str
    params: int
    """At most so many."""
    precision: str
    values: Values
    """Test score by fold and seed."""
    costs: Costs

    @property
    def name(self) -> str:
        """`lstm int8, 20,000 parameters`."""
        return f"{self.family} {self.precision}, {self.params:,} parameters"

    @property
    def who(self) -> tuple[str, int, str]:
        """What is chosen, whatever it was measured on."""
        return self.family, self.params, self.precision

    @property
    def mean(self) -> float:
        """Mean score."""
        return sum(self.values.values()) / len(self.values)


Group = tuple[str, float, str, int, str]
"""Task, share, family, parameters, precision."""


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured and can decide a choice."""

    values: Mapping[Group, Values]
    costs: Mapping[tuple[str, str, int, str], Costs]
    """By task, family, parameters and precision."""
    higher_is_better: Mapping[str, bool]
    """By task."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    machines: tuple[Mapping[str, Any], ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task that was measured."""
        return tuple(dict.fromkeys(group[0] for group in self.values))

    def shares(self, task: str) -> tuple[float, ...]:
        """Return the shares of a task's data that were measured, the least first."""
        return tuple(sorted({group[1] for group in self.values if group[0] == task}))

    def known(self, task: str, share: float) -> tuple[Known, ...]:
        """Return what was trained at least twice on a share of a task's data."""
        return tuple(
            Known(family, params, kind, values, self._costs(task, family, params, kind))
            for (on, of, family, params, kind), values in self.values.items()
            if (on, of) == (task, share) and len(values) > 1
        )

    def _costs(self, task: str, family: str, params: int, precision: str) -> Costs:
        """Return costs of this very model, else of one of about its size."""
        own = self.costs.get((task, family, params, precision), Costs())
        for (on, of, size, kind), costs in self.costs.items():
            same = (on, of, kind) == (task, family, precision)
            if same and abs(size - params) <= SAME_SIZE * params:
                own = own.filled(costs)
        return own


def open_evidence(folder: Path | None = None) -> Evidence:
    """Return the evidence of a folder: what `claims -o` or `bench -o` left; none: as shipped.

    Where it has results of `bench` alone, scores are the shipped ones.
    """
    ours = Path(str(shipped("devices") / "results" / "claims"))
    if folder is None:
        return read(Store(ours))
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}; name one that edgeseq claims -o or bench -o left")
    store = Store(folder / "cells" if (folder / "cells").is_dir() else folder)
    others = [path for path in sorted(folder.glob("*.json")) if not path.match("cells-*.json")]
    benches = [BenchResult.load(path) for path in others if "hot_settings" in path.read_text()]
    if not len(store) and not benches:
        raise UsageError(f"{folder} has no cells; fill it: edgeseq claims --budget 1h -o {folder}")
    return read(store if len(store) else Store(ours), benches)


def read(store: Store, benches: Sequence[BenchResult] = ()) -> Evidence:
    """Return what a store says.

    Results of `edgeseq bench` are costs, in the place of the store's times, which may be another
    machine's; their scores are single ones, which prove nothing.
    """
    found = [outcome for outcome in store if not outcome.failed]
    longest = _longest(found)
    values: dict[Group, dict[tuple[int, int], float]] = {}
    sizes: dict[tuple[str, str, int, str], list[float]] = {}
    higher, metrics = {}, {}
    for outcome in found:
        cell, result = outcome.cell, outcome.result
        if not _plain(cell) or cell.settings["length"] < min(1, longest[cell.settings["task"]]):
            continue
        settings = cell.settings
        task, family, params = settings["task"], settings["family"], settings["params"]
        higher[task] = bool(result["higher_is_better"])
        metrics[task] = str(result["metric"])
        for precision, value, kib in _scores(cell, result):
            group = (task, float(settings.get("share", 1.0)), family, params, precision)
            if value is not None:
                values.setdefault(group, {})[settings["fold"], settings["seed"]] = value
            if kib is not None:
                sizes.setdefault((task, family, params, precision), []).append(kib)
    costs = {key: Costs(kib=median(known)) for key, known in sizes.items()}
    for key, cost in _benches(benches) if benches else _edges(found):
        costs[key] = cost.filled(costs.get(key, Costs()))
    machines = [asdict(bench.machine) for bench in benches] or store.machines
    return Evidence(values, costs, higher, metrics, tuple(machines))


def _plain(cell: Cell) -> bool:
    return cell.kind in ("train", "quantized") and cell.settings.keys() <= PLAIN


def _longest(found: Sequence[Outcome]) -> dict[str, float]:
    """Return the longest training of each task: what was trained for less is not compared."""
    longest: dict[str, float] = {}
    for cell in (outcome.cell for outcome in found if _plain(outcome.cell)):
        task = cell.settings["task"]
        longest[task] = max(longest.get(task, 0.0), cell.settings["length"])
    return longest


def _scores(cell: Cell, result: Result) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield precision, score and KiB."""
    if cell.kind == "train":
        yield "fp32", result.get("value"), None
        return
    for precision, size in zip(("fp32", "int8"), result["bytes"], strict=True):
        # The score of fp32 is that of the training itself.
        yield precision, result.get("int8") if precision == "int8" else None, size / 1024


def _edges(found: Sequence[Outcome]) -> Iterator[tuple[tuple[str, str, int, str], Costs]]:
    """Yield what steps cost, the most thoroughly measured last."""
    edges = [outcome for outcome in found if outcome.cell.kind == "edge"]
    for outcome in sorted(edges, key=lambda outcome: outcome.cell.settings.get("rounds", 0)):
        settings = outcome.cell.settings
        for precision in ("fp32", "int8"):
            key = settings["task"], settings["family"], settings["params"], precision
            yield key, costs_of(outcome.result, precision)


def costs_of(result: Result, precision: str) -> Costs:
    """Return what a cell of the kind `edge` says of a precision; it may say less."""
    file = result.get(precision, {})
    hot = result.get("hot_us", {}).get(precision)
    paced = result.get("paced", {}).get(precision, {})
    return Costs(
        file.get("file_kib"),
        hot[0] if hot else None,
        paced["us"][0] if "us" in paced else None,
        file.get("peak_above_idle_mib"),
        paced.get("cpu_s_per_hour"),
    )


def _benches(
    benches: Sequence[BenchResult],
) -> Iterator[tuple[tuple[str, str, int, str], Costs]]:
    for bench in benches:
        for found in bench.variants:
            paced, memory = found.paced, found.memory
            costs = Costs(
                found.file_kib,
                found.hot.p50_us,
                paced.step.p50_us if paced else None,
                memory.attributable_rss_mib if memory else None,
                paced.cpu_seconds_per_hour if paced else None,
            )
            yield (found.task, found.family, found.parameters, found.precision), costs


def _or(value: float | None, other: float | None) -> float | None:
    return other if value is None else value
