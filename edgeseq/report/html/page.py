"""The report: one HTML file that needs nothing else, on a wide screen, a phone, or paper."""

from importlib.resources import files

from edgeseq.report.demo import DemoResult
from edgeseq.report.html import captions, figures, rows, sections
from edgeseq.report.html.look import shipped
from edgeseq.report.html.markup import Html, section, tag
from edgeseq.report.html.table import main_table


def render(result: DemoResult) -> str:
    """Return the report of a demo as one self-contained HTML page."""
    return document(f"edgeseq demo: {result.task.name}", _body(result))


def document(title: str, main: Html, style: str = "") -> str:
    """Return a whole page around `main`, with the style of all reports and `style` after it."""
    common = (files("edgeseq.report.html") / "page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(common + style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', main), lang='en')}\n"


def _body(result: DemoResult) -> Html:
    footer = (
        f"edgeseq {result.edgeseq} · {result.created} · {result.status} · every number of this "
        "page is in results.json"
    )
    return tag(
        "main",
        sections.header(result),
        section("All variants", main_table(result), tag("p", _note(result), class_="note")),
        section("Figures", tag("div", _figures(result), class_="figures")),
        section("Claims", sections.claims(result)),
        section("Methods", sections.methods(result)),
        tag("footer", tag("p", footer)),
    )


def _note(result: DemoResult) -> str:
    return (
        "Preferred: what the bundle says to ship. fp32 is compared with PyTorch's forward over the "
        "whole sequence, int8 with fp32, frame by frame. A drift of 1.0: the second half of "
        "the stream is as close as the first."
    )


def _figures(result: DemoResult) -> list[Html]:
    drawn: list[tuple[str, Html | None, str]] = [
        ("Accuracy against size", figures.accuracy_against_size(result), captions.accuracy(result)),
        (
            "Latency distribution",
            figures.latency_distribution(result),
            captions.distribution(result),
        ),
        ("Latency per variant", rows.latency_per_variant(result), ""),
        (
            "Latency against position",
            figures.latency_by_position(result),
            captions.position(result),
        ),
        ("Memory per variant", rows.memory_per_variant(result), captions.memory(result)),
        ("CPU time per variant", rows.cpu_per_variant(result), captions.cpu(result)),
        ("Drift", figures.drift(result), captions.drift(result)),
    ]
    drawn += [
        (f"Confusion, {look.name}", figures.confusion(look, result.task.labels), "")
        for look in shipped(result)
        if look.variant.confusion
    ]
    return [_figure(*item) for item in drawn]


def _figure(title: str, drawing: Html | None, caption: str) -> Html:
    return tag(
        "figure",
        tag("h3", title),
        drawing or tag("p", "not measured", class_="missing"),
        tag("figcaption", caption) if caption else None,
    )
