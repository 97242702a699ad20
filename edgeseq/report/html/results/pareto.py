"""What accuracy costs: variants of one task against size, time, memory and CPU time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edgeseq.bench.results import VariantResult
from edgeseq.claims.pareto import front
from edgeseq.report.html import scatter
from edgeseq.report.html.chart import Chart
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.results.figure import Figure, grid
from edgeseq.report.html.results.series import Series, legend, series, source, status_of
from edgeseq.report.numbers import NOT_MEASURED, short
from edgeseq.report.results import Run

MOST = 40
"""Points of a figure whose marks are written; more would cover each other."""


@dataclass(frozen=True)
class Cost:
    """Something that an app pays for a model."""

    title: str
    label: str
    """Of the axis, with the unit."""
    value: Callable[[VariantResult], float | None]
    log: bool = True


def _memory(variant: VariantResult) -> float | None:
    return variant.memory.attributable_rss_mib if variant.memory else None


SIZE = Cost("size", "size of the ONNX file, KiB", lambda v: v.file_kib)
COSTS = (
    Cost("a hot step", "hot step, p50, µs", lambda v: v.hot.p50_us),
    Cost("a paced step", "paced step, p50, µs", lambda v: v.paced.step.p50_us if v.paced else None),
    Cost("memory", "MiB of peak memory that the model adds", _memory, log=False),
    Cost(
        "CPU time",
        "CPU seconds for one hour, paced",
        lambda v: v.paced.cpu_seconds_per_hour if v.paced else None,
        log=False,
    ),
)
"""What depends on the machine: never two results in one figure."""


@dataclass(frozen=True)
class Group:
    """Variants whose scores are of one kind: only they share a figure."""

    task: str
    metric: str | None
    """None: no accuracy is known."""
    higher_is_better: bool
    members: tuple[Series, ...]

    def gain(self, item: Series) -> float | None:
        """Return a score that is better the higher it is."""
        accuracy = item.variant.accuracy
        if accuracy is None:
            return None
        return accuracy.value if self.higher_is_better else -accuracy.value


def groups(runs: Iterable[Run]) -> list[Group]:
    """Return the variants of all runs by task and by how they were scored."""
    found: dict[tuple[str, str | None, bool], list[Series]] = {}
    for run in runs:
        for item in series(run):
            accuracy = item.variant.accuracy
            scored = (accuracy.metric, accuracy.higher_is_better) if accuracy else (None, True)
            found.setdefault((item.variant.task, *scored), []).append(item)
    return [Group(*kind, tuple(members)) for kind, members in found.items()]


def section(group: Group) -> Html:
    """Return a task's figures: size once for all results, the rest for each result alone."""
    head = tag("h3", f"{group.task}: {group.metric or 'accuracy'}")
    if group.metric is None:
        said = f"{NOT_MEASURED}: {', '.join(item.name for item in group.members)}"
        return tag("div", head, tag("p", said, class_="missing"))
    size = tradeoff(group, SIZE, group.members, _sources(group.members))
    runs = _runs(group.members)
    if len(runs) == 1:
        return tag("div", head, grid([size, *_of_a_run(group, runs[0])], runs[0].title))
    parts = [grid(figures, run.title) for run in runs if (figures := _of_a_run(group, run))]
    return tag("div", head, grid([size], ""), parts)


def _of_a_run(group: Group, run: Run) -> list[Figure]:
    """Return what depends on the machine; one variant alone has nobody to be weighed against."""
    own = [item for item in group.members if item.run.letter == run.letter]
    return [tradeoff(group, cost, own, source(run)) for cost in COSTS] if len(own) > 1 else []


def _runs(members: Sequence[Series]) -> list[Run]:
    return list({item.run.letter: item.run for item in members}.values())


def _sources(members: Sequence[Series]) -> Html:
    """Return all runs of a figure; what it shows is the same on every machine."""
    said = [[status_of(run), f" {run.title}. "] for run in _runs(members)]
    return tag("p", *said, "A size is the same on every machine.", class_="source")


def tradeoff(group: Group, cost: Cost, members: Sequence[Series], where: Html) -> Figure:
    """Draw accuracy against `cost`, and the front of what no other variant beats."""
    title = f"Accuracy against {cost.title}"
    known = [item for item in members if cost.value(item.variant) is not None]
    if not known:
        return Figure(title, None, where)
    best = front(known, group.gain, lambda item: cost.value(item.variant))
    chart = Chart(title, "One point a variant; the dashed line joins those that no other beats.")
    points = {item.mark: _point(item, cost) for item in known}
    labels = cost.label, group.metric or ""
    drawn, edge = list(points.values()), [points[item.mark] for item in best]
    x, y = scatter.draw(chart, drawn, labels, log=cost.log, front=edge)
    if len(drawn) <= MOST:
        places = [(x(point.x), y(point.y)) for point in drawn]
        scatter.name_points(chart, places, [(point.name, point.class_) for point in drawn])
    return Figure(title, chart.svg(), where, _caption(group, best), _legend(known, cost))


def _point(item: Series, cost: Cost) -> scatter.Point:
    value, accuracy = cost.value(item.variant), item.variant.accuracy
    if value is None or accuracy is None:
        raise ValueError(f"{item.name} has no place in this plane")
    tip = f"{item.name}: {accuracy.metric} {accuracy.value:.4g}, {short(value)} {cost.label}"
    return scatter.Point(value, accuracy.value, item.mark, item.class_, tip)


def _caption(group: Group, best: Sequence[Series]) -> str:
    way = "higher" if group.higher_is_better else "lower"
    return f"Left and {way} is better. No other beats {', '.join(item.mark for item in best)}."


def _legend(known: Sequence[Series], cost: Cost) -> Html:
    return legend(((item, short(cost.value(item.variant) or 0.0)) for item in known), dots=True)
