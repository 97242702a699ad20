"""The table: every variant with what it gives, what it costs and how it was proven."""

from collections.abc import Callable
from dataclasses import dataclass

from edgeseq.report.demo import DemoResult, VariantReport
from edgeseq.report.html.look import Look, family_name, growth, looks, metric_of
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.numbers import NOT_MEASURED, percent, scientific, short

Cell = Callable[[VariantReport], str | None]


@dataclass(frozen=True)
class Column:
    """One column: its group, its head, and what stands in it; none: not measured."""

    group: str
    head: str
    cell: Cell
    title: str = ""


def columns(result: DemoResult) -> tuple[Column, ...]:
    """Return the columns in the order in which they are read."""
    rate = f"step at {result.pace_settings.rate_hz:g} Hz, µs" if result.pace_settings else "paced"
    peak = "resident peak of a fresh process with Python and ONNX Runtime"
    model = "that peak minus the peak of a session that does nothing"
    cpu = "CPU seconds of the whole process for one hour of frames"
    return (
        Column("", metric_of(result), lambda v: f"{v.accuracy.value:.1f}" if v.accuracy else None),
        Column("file", "KiB", lambda v: short(v.file_kib), "size of the ONNX file"),
        Column("step hot, µs", "p50", lambda v: short(v.hot.p50_us) if v.hot else None),
        Column("step hot, µs", "p99", lambda v: short(v.hot.p99_us) if v.hot else None),
        Column(rate, "p50", lambda v: short(v.paced.step.p50_us) if v.paced else None),
        Column(rate, "p99", lambda v: short(v.paced.step.p99_us) if v.paced else None),
        Column("memory, MiB", "peak", _peak, peak),
        Column("memory, MiB", "model", _attributable, model),
        Column(
            "CPU", "s/hour", lambda v: short(v.paced.cpu_seconds_per_hour) if v.paced else None, cpu
        ),
        *(Column("against the reference", head, cell, title) for head, cell, title in PARITY),
    )


def _peak(variant: VariantReport) -> str | None:
    return _number(variant.memory.peak_rss_mib) if variant.memory else None


def _attributable(variant: VariantReport) -> str | None:
    return _number(variant.memory.attributable_rss_mib) if variant.memory else None


def _number(value: float | None) -> str | None:
    return None if value is None else short(value)


def _largest(variant: VariantReport) -> str | None:
    return None if variant.parity is None else scientific(variant.parity.relative_error)


def _drift(variant: VariantReport) -> str | None:
    grown = growth(variant.parity) if variant.parity else None
    return None if grown is None else f"{grown:.2f}"


def _changed(variant: VariantReport) -> str | None:
    return None if variant.parity is None else percent(variant.parity.changed_decisions)


def _frames(variant: VariantReport) -> str | None:
    return None if variant.parity is None else f"{variant.parity.steps:,}"


PARITY: tuple[tuple[str, Cell, str], ...] = (
    ("largest error", _largest, "largest difference of an output over the RMS of the outputs"),
    ("drift", _drift, "RMS error in the second half of the stream over that in the first"),
    ("changed decisions", _changed, "share of frames that are decided differently"),
    ("frames", _frames, "length of the uninterrupted stream"),
)


def main_table(result: DemoResult) -> Html:
    """Return the table in a box of its own, which scrolls where it is too wide."""
    shown = columns(result)
    rows = [_row(look, shown) for look in looks(result)]
    rows += [
        tag(
            "tr",
            tag("th", name, scope="row", colspan=1),
            tag("td", f"{score.value:.1f}"),
            tag("td", "baseline, on the same windows", colspan=len(shown) - 1, class_="left"),
            class_="baseline-row",
        )
        for name, score in result.task.baselines.items()
    ]
    table = tag("table", _head(shown), tag("tbody", rows))
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="All variants")


def _head(shown: tuple[Column, ...]) -> Html:
    groups: list[tuple[str, int]] = []
    for column in shown:
        if groups and column.group and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1] + 1)
        else:
            groups.append((column.group, 1))
    above = [tag("th", name, colspan=span, scope="colgroup") for name, span in groups]
    below = [tag("th", column.head, scope="col", title=column.title or None) for column in shown]
    return tag(
        "thead",
        tag("tr", tag("td"), above, class_="groups"),
        tag("tr", tag("th", "model, variant", scope="col", class_="left"), below),
    )


def _row(look: Look, shown: tuple[Column, ...]) -> Html:
    name = tag(
        "th",
        tag("span", class_=f"swatch {look.class_}"),
        f"{family_name(look.model.family)} ",
        tag("b", look.variant.name) if look.shipped else look.variant.name,
        tag("span", " preferred", class_="preferred") if look.shipped else None,
        scope="row",
    )
    cells = [_cell(column.cell(look.variant)) for column in shown]
    return tag("tr", name, cells, class_="shipped" if look.shipped else None)


def _cell(content: str | None) -> Html:
    return tag("td", content) if content else tag("td", NOT_MEASURED, class_="missing")
