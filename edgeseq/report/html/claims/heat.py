"""A value a row and column: shaded by its size, written where there is room."""

from edgeseq.claims.figures import Heat
from edgeseq.report.html.chart import RIGHT, WIDTH, Chart, text, tip_of
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.numbers import NOT_MEASURED, short

LETTER = 6.6
HEAD, FOOT = 26, 44
TALLEST, SHALLOWEST = 34.0, 8.0
"""Pixels of a row, where there are few and where there are many."""
DARKEST = 0.55
"""Of a shade: ink on it is still read."""


def draw(figure: Heat) -> Html | None:
    """Return the drawing; none where there is no value."""
    known = [value for row in figure.values for value in row if value is not None]
    if not known:
        return None
    deep = min(TALLEST, max(SHALLOWEST, 300 / len(figure.rows)))
    left = 12 + LETTER * max(map(len, figure.rows))
    wide = (WIDTH - RIGHT - left) / len(figure.columns)
    said = f"{figure.unit}, a row each {figure.y_label}, a column each {figure.x_label}."
    chart = Chart(figure.title, said, height=round(HEAD + deep * len(figure.rows) + FOOT))
    chart.add(text(0, 12, f"{figure.y_label}; values: {figure.unit}", "label"))
    most = max(map(abs, known)) or 1.0
    for row, name in enumerate(figure.rows):
        top = HEAD + deep * row
        if deep >= 12 or row % 4 == 0:
            chart.add(text(left - 6, top + deep / 2 + 4, name, "tick", "end"))
        for column, value in enumerate(figure.values[row]):
            tip = f"{name}, {figure.columns[column]}: "
            chart.add(*_cell(left + wide * column, top, wide, deep, value, most, tip))
    _below(chart, figure, left, wide)
    return chart.svg()


def _below(chart: Chart, figure: Heat, left: float, wide: float) -> None:
    every = max(1, -(-int(LETTER * max(map(len, figure.columns)) + 8) // max(1, int(wide))))
    for column in range(0, len(figure.columns), every):
        middle = left + wide * (column + 0.5)
        chart.add(text(middle, chart.height - FOOT + 16, figure.columns[column], "tick", "middle"))
    chart.add(text(WIDTH - RIGHT, chart.height - 6, figure.x_label, "label", "end"))


def _cell(
    x: float, y: float, wide: float, deep: float, value: float | None, most: float, tip: str
) -> list[Html]:
    """Return a shaded box; what is below zero is framed by dashes, as hues may not be seen."""
    box = {"x": x + 1, "y": y + 1, "width": wide - 2, "height": deep - 2}
    middle = (x + wide / 2, y + deep / 2 + 4)
    if value is None:
        none = tag("rect", tip_of(tip + NOT_MEASURED), class_="heat none", **box)
        return [none, text(*middle, "-", "tick", "middle")]
    shade = f"{DARKEST * abs(value) / most:.2f}"
    class_ = "heat below" if value < 0 else "heat"
    drawn = [tag("rect", tip_of(tip + short(value)), class_=class_, fill_opacity=shade, **box)]
    written = short(value, 2)
    if LETTER * len(written) < wide - 4 and deep >= 14:
        drawn.append(text(*middle, written, "value", "middle"))
    return drawn
