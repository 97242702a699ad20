"""Sheets as HTML: the same rows as in a terminal and in a pull request."""

from collections.abc import Iterable, Mapping

from edgeseq.report.html.markup import Child, Html, tag
from edgeseq.report.numbers import NOT_MEASURED
from edgeseq.report.sheet import Sheet

WORDS = {"pass": "supported", "fail": "refuted", "not checked": "not-measured"}
STATUS = ("measured", "emulated", "estimated")
LONG = 34
"""Letters from which on a cell may be broken into lines."""


def sheets(found: Iterable[Sheet], marks: Mapping[str, Child] | None = None) -> Html:
    """Return sheets one below the other; `marks` say how names in the first columns look."""
    return tag("div", [_sheet(sheet, marks or {}) for sheet in found], class_="sheets")


def _sheet(sheet: Sheet, marks: Mapping[str, Child]) -> Html:
    notes = [tag("p", note, class_="note") for note in sheet.notes]
    return tag("div", _table(sheet, marks) if sheet.rows else None, notes)


def _table(sheet: Sheet, marks: Mapping[str, Child]) -> Html:
    left = [not column.endswith(">") for column in sheet.columns]
    heads = [
        tag("th", column.rstrip(">"), scope="col", class_="left" if text else None)
        for column, text in zip(sheet.columns, left, strict=True)
    ]
    table = tag(
        "table",
        tag("thead", tag("tr", heads)),
        tag("tbody", [_row(row, left, marks) for row in sheet.rows]),
    )
    label = sheet.columns[0].rstrip(">") or "table"
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def _row(row: tuple[str, ...], left: list[bool], marks: Mapping[str, Child]) -> Html:
    first, *others = row
    head = tag("th", marks.get(first, _worded(first)), scope="row")
    cells = [
        tag("td", _worded(cell), class_=_class(cell, text))
        for cell, text in zip(others, left[1:], strict=True)
    ]
    return tag("tr", head, cells)


def _worded(cell: str) -> Child:
    """Return a verdict or a status so that it is seen."""
    if cell in WORDS:
        return tag("span", cell, class_=f"word {WORDS[cell]}")
    return tag("span", cell, class_=f"status {cell}") if cell in STATUS else cell


def _class(cell: str, text: bool) -> str | None:
    words = ["left"] if text else []
    words += ["missing"] if cell == NOT_MEASURED else []
    words += ["long"] if len(cell) > LONG else []
    return " ".join(words) or None
