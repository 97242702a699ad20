"""The page: verdicts first, how to read them, then each claim with its numbers and its cells."""

from collections.abc import Sequence
from importlib.resources import files

from edgeseq import __version__
from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.figures import Bars, Curves, Figure, Heat
from edgeseq.claims.plan import ready
from edgeseq.claims.summary import Judged, Summary
from edgeseq.claims.verdict import Part
from edgeseq.report import claim_words as words
from edgeseq.report.html.claims import bars, curves, heat, points
from edgeseq.report.html.markup import Child, Html, join, section, tag
from edgeseq.report.html.page import document
from edgeseq.report.numbers import NOT_MEASURED, short


def render(summary: Summary) -> str:
    """Return a run of claims as one self-contained HTML page."""
    sheets = (("edgeseq.report.html", "heat.css"), ("edgeseq.report.html.claims", "claims.css"))
    style = "".join((files(folder) / name).read_text(encoding="utf-8") for folder, name in sheets)
    return document("edgeseq claims", _body(summary), style)


def _body(summary: Summary) -> Html:
    return tag(
        "main",
        tag(
            "header",
            tag("p", f"edgeseq claims · budget {summary.scale.name}", class_="eyebrow"),
            tag("h1", f"{words.TITLE}: {words.headline(summary)}"),
            tag("p", f"{words.totals(summary)}. {words.caution(summary)}", class_="lead"),
        ),
        section("Verdicts", _verdicts(summary)),
        section("How to read it", _reading()),
        [_claim(judged, summary) for judged in summary.claims],
        section("Where it was measured, and how to get the same", _origin(summary)),
        tag("footer", tag("p", f"edgeseq {__version__} · every number is in verdicts.json")),
    )


def _table(heads: Sequence[str], rows: Sequence[Html], label: str, class_: str) -> Html:
    """Return a table in a box of its own, which scrolls where it is too wide."""
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in heads]))
    table = tag("table", head, tag("tbody", rows), class_=class_)
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def _word(word: str) -> Html:
    return tag("span", word, class_=f"word {word.replace(' ', '-')}")


def _verdicts(summary: Summary) -> Html:
    heads = ("claim", "the essay says", "verdict", "part by part", "cells")
    return _table(heads, [_verdict(judged) for judged in summary.claims], "Verdicts", "parts all")


def _verdict(judged: Judged) -> Html:
    verdict = judged.verdict
    parts = [
        tag("li", f"{words.statement(part)} ", _word(part.word), f" {_decided(part)}".rstrip())
        for part in verdict.parts
    ]
    return tag(
        "tr",
        tag("th", tag("a", verdict.claim, href=f"#{verdict.claim}"), scope="row"),
        tag("td", verdict.hypothesis),
        tag("td", _word(verdict.word)),
        tag("td", tag("ul", parts, class_="plain")),
        tag("td", words.counted(judged)),
    )


def _decided(part: Part) -> str:
    return "" if part.word == NOT_MEASURED else words.found(part)


def _reading() -> list[Html]:
    meanings = [
        join(tag("dt", _word(word)), tag("dd", meaning)) for word, meaning in words.WORDS.items()
    ]
    lines = [tag("li", line) for line in words.READ]
    return [tag("dl", meanings), tag("ul", lines, class_="reading")]


def _claim(judged: Judged, summary: Summary) -> Html:
    verdict, declared = judged.verdict, judged.declaration
    facts: list[tuple[str, Child]] = [
        ("Protocol", declared["protocol"]),
        ("Measured", "; ".join(declared["metrics"])),
        ("Rules", [tag("p", rule) for rule in dict.fromkeys(declared["rules"])]),
        ("Declared", tag("code", declared["sha256"])),
    ]
    return tag(
        "section",
        tag("h2", f"{verdict.claim}: ", tag("q", verdict.hypothesis), " ", _word(verdict.word)),
        tag("dl", [join(tag("dt", name), tag("dd", text)) for name, text in facts]),
        tag("h3", "Parts"),
        _parts(verdict.parts),
        [tag("p", note, class_="note") for note in verdict.notes],
        tag("div", [_figure(figure) for figure in judged.figures], class_="figures"),
        _cells(judged, summary),
        id=verdict.claim,
    )


def _parts(parts: Sequence[Part]) -> Html:
    heads: tuple[str, ...] = (
        "statement", "rule", "verdict", "effect [95 %]", "smallest", "seed SD", "fold SD",
        "trainings",
    )  # fmt: skip
    if not any(part.effect for part in parts):
        heads = heads[:4]
    rows = [
        tag(
            "tr",
            tag("th", words.statement(part), scope="row"),
            tag("td", part.rule, class_="rule"),
            tag("td", _word(part.word)),
            [tag("td", text) for text in (words.found(part), *words.spread(part.effect))][
                : len(heads) - 3
            ],
        )
        for part in parts
    ]
    return _table(heads, rows, "Parts", "parts")


def _figure(figure: Figure) -> Html:
    return tag(
        "figure",
        tag("h3", figure.title),
        drawing(figure) or tag("p", NOT_MEASURED, class_="missing"),
        tag("figcaption", figure.caption) if figure.caption else None,
    )


def drawing(figure: Figure) -> Html | None:
    """Return a figure's drawing; none where there is nothing to draw."""
    if isinstance(figure, Curves):
        return curves.draw(figure)
    if isinstance(figure, Bars):
        return bars.draw(figure)
    return heat.draw(figure) if isinstance(figure, Heat) else points.draw(figure)


def _cells(judged: Judged, summary: Summary) -> Html:
    """Return every cell; what all of them have alike is said once, to keep the page small."""
    alike = words.shared([cell for cell, _ in judged.cells])
    rows = [_cell(cell, outcome, alike, summary) for cell, outcome in judged.cells]
    heads = ("cell", "settings", "result", "seconds", "to measure it again")
    return tag(
        "details",
        tag("summary", f"{words.counted(judged)} cells"),
        tag("p", "All: ", tag("code", words.said(alike, {})), class_="note") if alike else None,
        _table(heads, rows, f"Cells of {judged.verdict.claim}", "cells"),
    )


def _cell(cell: Cell, outcome: Outcome | None, alike: dict[str, object], summary: Summary) -> Html:
    # The key of a cell whose settings the search has yet to name would be another one.
    known = outcome is not None or ready(cell)
    return tag(
        "tr",
        tag("th", tag("code", cell.key if known else "")),
        tag("td", f"{cell.kind} {words.said(cell.settings, alike)}"),
        tag("td", words.result_said(cell, outcome)),
        tag("td", short(outcome.seconds) if outcome else ""),
        tag("td", tag("code", words.cell_again(summary, cell)) if known else ""),
    )


def _origin(summary: Summary) -> Html:
    machines = [tag("p", words.machine_said(machine)) for machine in summary.machines]
    facts: list[tuple[str, Child]] = [
        ("Machines", machines or NOT_MEASURED),
        ("Time", f"{words.totals(summary)}; most of it can run side by side."),
        ("Again", tag("pre", tag("code", words.run_again(summary)))),
        ("One cell", words.ONE_CELL),
    ]
    return tag("dl", [join(tag("dt", name), tag("dd", text)) for name, text in facts])
