"""What a variant is called and how it looks: the same mark in every figure of its result."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgeseq.bench.results import VariantResult
from edgeseq.bundle import INTEGERS
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.results import Run

HUES, DASHES = 5, 3
"""Colours and dashes; neither divides the other, so 15 variants differ in one of them."""
FEW = 12
"""Curves that can be told apart in one figure; more are drawn in several."""


@dataclass(frozen=True)
class Series:
    """One variant of one result."""

    run: Run
    number: int
    variant: VariantResult

    @property
    def mark(self) -> str:
        """`A1`: unique in a report, written on whatever is drawn of it."""
        return self.run.label(self.number)

    @property
    def name(self) -> str:
        """Its mark with its name."""
        return f"{self.mark} {self.variant.name}"

    @property
    def class_(self) -> str:
        """Its colour, its dash, and whether its dots are hollow."""
        hollow = " int8" if self.variant.precision in INTEGERS else ""
        return f"c{self.number % HUES} k{self.number % DASHES}{hollow}"


def series(run: Run) -> list[Series]:
    """Return a result's variants in order."""
    return [Series(run, number, variant) for number, variant in enumerate(run.result.variants)]


Item = TypeVar("Item")


def portions(found: Sequence[Item]) -> list[Sequence[Item]]:
    """Return `found` in lists that fit a figure each."""
    return [found[start : start + FEW] for start in range(0, len(found), FEW)]


def legend(entries: Iterable[tuple[Series, str]], *, dots: bool = False) -> Html:
    """Return what each mark is: its line or dot, its name, and a few figures."""
    kind = "swatch" if dots else "sample"
    items = [
        tag(
            "li",
            tag("span", class_=f"{kind} {item.class_}"),
            tag("b", item.mark, class_=f"mark {item.class_}"),
            f" {item.variant.name}",
            [" ", tag("span", _whole(said), class_="said")] if said else None,
        )
        for item, said in entries
    ]
    return tag("ul", items, class_="legend")


def _whole(said: str) -> str:
    """Let lines end behind commas only: a number and its unit belong together."""
    return ", ".join(part.replace(" ", "\u00a0") for part in said.split(", "))


def cut(item: Series, most: int) -> str:
    """Return a mark with the end of its name, where there is no room; the legend has it all."""
    name = item.variant.name
    return f"{item.mark} {name if len(name) <= most else '…' + name[1 - most :]}"


def status_of(run: Run) -> Html:
    """Return the word that stands beside every number of a result."""
    return tag("span", run.result.status, class_=f"status {run.result.status}")


def source(run: Run) -> Html:
    """Return where the figures of a result are from, for below a figure."""
    return tag("p", status_of(run), f" {run.title}, {run.place}", class_="source")
