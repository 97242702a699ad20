"""The page: what there is, what accuracy costs, then each result by itself."""

from collections.abc import Sequence
from importlib.resources import files

from edgeseq import __version__
from edgeseq.report.html.markup import Child, Html, section, tag
from edgeseq.report.html.page import document
from edgeseq.report.html.results.curves import chunks, distributions, pauses
from edgeseq.report.html.results.figure import grid
from edgeseq.report.html.results.pareto import groups
from edgeseq.report.html.results.pareto import section as tradeoffs
from edgeseq.report.html.results.series import series, status_of
from edgeseq.report.html.results.sheets import sheets
from edgeseq.report.html.results.stacks import memory
from edgeseq.report.html.results.traces import traces
from edgeseq.report.html.sections import busy
from edgeseq.report.numbers import duration
from edgeseq.report.results import Run, headline, overview, reproduce, result_sheets

LEAD = (
    "Latency is measured through the public StreamSession.step(), on real frames with the state "
    "fed back: hot, one step after the other, and paced, one each period as an app has it. "
    "Nothing that measuring costs is subtracted."
)

FRONTS = (
    "Only variants of one task share a figure, and only what took turns in one result shares a "
    "figure of time or memory. A dashed line joins what no other variant beats in both "
    "quantities; a score has an uncertainty of its own, so scores that are nearly equal stand in "
    "an order of chance."
)


def render(runs: Sequence[Run]) -> str:
    """Return the report of at least one result as one self-contained HTML page."""
    style = (files("edgeseq.report.html.results") / "results.css").read_text(encoding="utf-8")
    return document("edgeseq report", _body(runs), style)


def _body(runs: Sequence[Run]) -> Html:
    footer = f"edgeseq {__version__} · every number of this page is in the results it names"
    return tag(
        "main",
        tag(
            "header",
            tag("p", f"edgeseq report · {_days(runs)}", class_="eyebrow"),
            tag("h1", headline(runs)),
            tag("p", LEAD, class_="lead"),
        ),
        section("What there is", _overview(runs)),
        section(
            "What accuracy costs",
            tag("p", FRONTS, class_="note"),
            [tradeoffs(group) for group in groups(runs)],
        ),
        [_result(run) for run in runs],
        tag("footer", tag("p", footer)),
    )


def _overview(runs: Sequence[Run]) -> list[Html]:
    """Return what ran where, and each variant with its status in the column that stays in sight."""
    *facts, figures = overview(runs)
    return [sheets(facts, _links(runs)), sheets([figures.without("status")], _names(runs))]


def _days(runs: Sequence[Run]) -> str:
    days = sorted({run.result.created[:10] for run in runs})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _links(runs: Sequence[Run]) -> dict[str, Child]:
    """Lead from a result's letter to all about it."""
    return {run.letter: tag("a", run.letter, href=f"#{_id(run)}", class_="to") for run in runs}


def _names(runs: Sequence[Run]) -> dict[str, Child]:
    return {
        item.mark: [
            tag("span", class_=f"swatch {item.class_}"),
            tag("b", f"{item.mark} ", class_=f"mark {item.class_}"),
            status_of(run),
        ]
        for run in runs
        for item in series(run)
    }


def _id(run: Run) -> str:
    return f"result-{run.letter}"


def _result(run: Run) -> Html:
    """Return everything about one result: figures, tables, and how to get the same."""
    figures = [*distributions(run), *memory(run), *pauses(run), *chunks(run), *traces(run)]
    marks: dict[str, Child] = {
        item.variant.name: [
            tag("b", item.mark, class_=f"mark {item.class_}"),
            f" {item.variant.name}",
        ]
        for item in series(run)
    }
    return tag(
        "section",
        tag("h2", run.title),
        tag("p", status_of(run), f" {_facts(run)}"),
        grid(figures, run.title),
        sheets(result_sheets(run), marks),
        tag("h3", "The same again"),
        tag("pre", tag("code", reproduce(run))),
        id=_id(run),
    )


def _facts(run: Run) -> str:
    result = run.result
    device = f", settings and budget of {run.device}" if result.device else ""
    return (
        f"on {run.place}{device}; {result.created[:16].replace('T', ' ')} UTC, "
        f"{duration(result.conditions.seconds)}, edgeseq {result.edgeseq}, "
        f"{result.machine.onnxruntime or 'no ONNX Runtime'}. Promises: {run.promises}."
        + busy(result.conditions.load_before, result.machine)
    )
