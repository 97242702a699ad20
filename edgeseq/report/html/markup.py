"""HTML and SVG that cannot be broken by what is put into them: every plain string is escaped."""

from collections.abc import Iterable
from html import escape

Attribute = str | float | int | bool | None


class Html(str):
    """Text that is markup already; anything else is escaped when it becomes a child."""

    __slots__ = ()


Child = Html | str | Iterable[Html | str] | None

_VOID = {"meta", "br", "col"}


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element.

    Attribute names are Python's: `class_` is `class`, `stroke_width` is `stroke-width`. Attributes
    that are none or false are left out; numbers are rounded to a hundredth of a pixel.
    """
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{words}>")
    return Html(f"<{name}{words}>{join(*children)}</{name}>")


def section(title: str, *children: Child) -> Html:
    """Return a part of a page under its heading."""
    return tag("section", tag("h2", title), *children)


def join(*children: Child) -> Html:
    """Return children one after the other; plain strings escaped, none left out."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(str(child))
        elif isinstance(child, str):
            parts.append(escape(child, quote=False))
        elif child is not None:
            parts.append(join(*child))
    return Html("".join(parts))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    key = key.rstrip("_").replace("_", "-")
    key = "viewBox" if key == "viewbox" else key
    if value is True:
        return f' {key}=""'
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {key}="{escape(text)}"'
