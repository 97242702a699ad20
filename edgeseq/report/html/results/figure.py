"""A figure of a report: title, drawing, where it is from, what its marks mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeseq.report.html.markup import Html, tag
from edgeseq.report.numbers import NOT_MEASURED


@dataclass(frozen=True)
class Figure:
    """One drawing with what belongs to it."""

    title: str
    drawing: Html | None
    """None: there is nothing to draw."""
    source: Html
    """Status, result and machine."""
    caption: str = ""
    legend: Html | None = None

    def html(self) -> Html:
        """Return the figure."""
        caption = tag("p", self.caption) if self.caption else None
        below = tag("figcaption", self.source, caption, self.legend)
        return tag("figure", tag("h4", self.title), self.drawing, below)


def grid(figures: Sequence[Figure], where: str) -> Html:
    """Return figures side by side, and one line of what was not measured `where`."""
    missing = ", ".join(figure.title for figure in figures if figure.drawing is None)
    drawn = [figure.html() for figure in figures if figure.drawing is not None]
    said = tag("p", f"{where}, {NOT_MEASURED}: {missing}", class_="missing") if missing else None
    return tag(
        "div", tag("div", drawn, class_="figures") if drawn else None, said, class_="grid-of"
    )
