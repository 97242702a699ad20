"""Figures of a claim as plain data: what is drawn, not how it looks."""

from dataclasses import dataclass

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """A curve of one family, with its 95 % band where there is one."""

    name: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()


@dataclass(frozen=True)
class Curves:
    """Several lines over one axis."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    caption: str = ""
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Bar:
    """A value with its 95 % interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    """Values side by side, with zero and, where there is one, a mark at what decides."""

    title: str
    label: str
    bars: tuple[Bar, ...]
    caption: str = ""
    mark: float | None = None


@dataclass(frozen=True)
class Heat:
    """A value a row and column; none: there is none."""

    title: str
    x_label: str
    y_label: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    unit: str
    caption: str = ""


@dataclass(frozen=True)
class Point:
    """One model in a plane."""

    name: str
    x: float
    y: float
    family: str
    precision: str = "fp32"
    on_front: bool = False


@dataclass(frozen=True)
class Points:
    """Models in a plane of gain and cost, the ones that no other beats marked."""

    title: str
    x_label: str
    y_label: str
    points: tuple[Point, ...]
    caption: str = ""
    log_x: bool = True
    log_y: bool = False
    lines: tuple[Line, ...] = ()
    """What bounds them, drawn below."""


Figure = Curves | Bars | Heat | Points
