"""A table that a terminal and a pull request show alike: the same rows, as text or as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.markup import escape

from edgeseq.report.text import table


@dataclass(frozen=True)
class Sheet:
    """Heads, rows and what is to be said below them."""

    columns: tuple[str, ...]
    """Heads; one that ends in `>` belongs to numbers, which are set right."""
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def without(self, column: str) -> "Sheet":
        """Return the sheet without a column, for where something else says the same."""
        kept = [place for place, head in enumerate(self.columns) if head != column]
        columns = tuple(self.columns[place] for place in kept)
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return Sheet(columns, rows, self.notes)


def as_text(sheets: Iterable[Sheet]) -> RenderableType:
    """Return sheets for a terminal."""
    parts: list[RenderableType] = []
    for sheet in sheets:
        if sheet.rows:
            rows = [[escape(cell) for cell in row] for row in sheet.rows]
            parts += [table(sheet.columns, rows), ""]
        if sheet.notes:
            parts += [escape("\n".join(sheet.notes)), ""]
    return Group(*parts[:-1])


def as_markdown(sheets: Iterable[Sheet], *, title: str) -> str:
    """Return sheets for a page or the comment of a pull request."""
    blocks = [f"### {title}"]
    for sheet in sheets:
        if sheet.rows:
            blocks.append(markdown_table(sheet.columns, sheet.rows))
        if sheet.notes:
            blocks.append("  \n".join(sheet.notes))
    return "\n\n".join(blocks) + "\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return rows under heads, as in a `Sheet`."""
    heads = [column.rstrip(">") for column in columns]
    rule = "|".join("--:" if column.endswith(">") else "---" for column in columns)
    return "\n".join([_line(heads), f"|{rule}|", *map(_line, rows)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
