"""Reading a page back: is it whole, and what stands in it."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np

VOID = {"meta", "br", "col"}


class Page(HTMLParser):
    """Checks that every tag is closed in order, and keeps what a test asks for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        return next(row for row in self.rows if row and row[0].startswith(name))


def drawings(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


SVG = "{http://www.w3.org/2000/svg}"


class Drawn:
    """One chart, read back: what value lies at which pixel is what its own ticks say."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        self.height = float(self.root.get("viewBox").split()[3])

    def marked(self, tag: str, class_: str) -> list[ElementTree.Element]:
        """Every element with all of the words of `class_`."""
        wanted = set(class_.split())
        return [
            element
            for element in self.root.iter(SVG + tag)
            if wanted <= set((element.get("class") or "").split())
        ]

    def words(self, class_: str = "") -> list[str]:
        return [element.text for element in self.marked("text", class_)]

    def tip(self, start: str) -> ElementTree.Element:
        """The one mark whose tip begins so."""
        (found,) = [
            e for e in self.root.iter() if (e.findtext(SVG + "title") or "").startswith(start)
        ]
        return found

    def axis(self, along: str, *, log: bool = False) -> "Axis":
        """The map from pixels to values that the ticks of one axis tell."""
        at_bottom = along == "x"
        ticks = [
            (float(t.get(along)) + (0 if at_bottom else -4), float(t.text.replace(",", "")))
            for t in self.marked("text", "tick")
            if (t.get("text-anchor") == ("middle" if at_bottom else "end"))
            and re.fullmatch(r"-?[\d.,]+", t.text)
            and (not at_bottom or float(t.get("y")) > self.height - 40)
        ]
        return Axis(ticks, log)


class Axis:
    """A line through ticks; `at` says which value lies at a pixel."""

    def __init__(self, ticks: list[tuple[float, float]], log: bool) -> None:
        self.log = log
        pixels, values = zip(*ticks, strict=True)
        slope, self.start = np.polyfit(pixels, np.log(values) if log else values, 1)
        self.slope = float(slope)

    def at(self, pixel: float) -> float:
        value = self.start + self.slope * pixel
        return float(np.exp(value) if self.log else value)


def steps(path: ElementTree.Element) -> list[tuple[float, float]]:
    """The points of a path of straight lines."""
    pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))
    return [(float(x), float(y)) for x, y in pairs]


def figures(page: str) -> list[tuple[str, str, Drawn]]:
    """Every figure's title, what stands below it, and its drawing."""
    found = re.findall(
        r"<figure><h4>(.*?)</h4>(<svg.*?</svg>)<figcaption>(.*?)</figcaption>", page, re.DOTALL
    )
    return [(title, below, Drawn(svg)) for title, svg, below in found]
