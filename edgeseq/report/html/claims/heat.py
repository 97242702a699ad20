"""A value a row and column, by the heat map that every page has."""

from edgeseq.claims.figures import Heat
from edgeseq.report.html.heat import heat
from edgeseq.report.html.markup import Html


def draw(figure: Heat) -> Html | None:
    """Return the drawing; none where there is no value.

    Where values lie on both sides of zero, zero is the middle shade: darker is more, lighter less.
    """
    known = [value for row in figure.values for value in row if value is not None]
    if not known:
        return None
    most = max(map(abs, known)) if min(known) < 0 else None
    low = None if most is None else -most
    return heat(figure, row_label=figure.y_label, column_label=figure.x_label, low=low, high=most)
