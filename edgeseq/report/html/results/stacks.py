"""What a process's memory consists of: one bar a variant, what nobody can explain last."""

from collections.abc import Callable, Sequence
from typing import Any

from edgeseq.report.html import bars
from edgeseq.report.html.markup import Html, tag
from edgeseq.report.html.results.figure import Figure
from edgeseq.report.html.results.series import Series, cut, series, source
from edgeseq.report.numbers import short
from edgeseq.report.results import Run

UNEXPLAINED = "unexplained_mib"
BEFORE = (
    ("interpreter_mib", "Python and libraries"),
    ("runtime_mib", "ONNX Runtime, doing nothing"),
)
ADDED = (
    ("code_mib", "more code in use"),
    ("weights_mib", "weights and graph"),
    ("arena_mib", "arena and caches"),
    ("state_mib", "state and buffers"),
    ("freed_mib", "freed, but kept"),
    ("python_mib", "Python's objects"),
    (UNEXPLAINED, "unexplained"),
)
PEAK = (
    ("runtime_peak_rss_mib", "the same process, doing nothing"),
    ("attributable_rss_mib", "the model adds"),
)
"""Where no breakdown was measured: the peak, in two."""
SHADES = 4
NAME = 15
"""Letters of a name that fit left of a bar."""

Fields = Sequence[tuple[str, str]]


def memory(run: Run) -> list[Figure]:
    """Draw the whole process and what the model adds to it, or the peak where that is all."""
    found = series(run)
    if any(_values(item, ADDED) for item in found):
        return [
            _stack(run, found, "Memory of the process", "MiB resident after all steps",
                   (*BEFORE, *ADDED)),
            _stack(run, found, "Memory that the model adds", "MiB on top of the runtime", ADDED),
        ]  # fmt: skip
    return [
        _stack(run, found, "Memory, peak", "MiB of peak memory", PEAK),
        _stack(run, found, "Memory that the model adds", "MiB on top of the runtime", PEAK[1:]),
    ]


def _stack(run: Run, found: Sequence[Series], title: str, label: str, fields: Fields) -> Figure:
    drawn = [_bar(item, fields) for item in found]
    if not any(bar.parts for bar in drawn):
        return Figure(title, None, source(run))
    shown = {part.key for bar in drawn for part in bar.parts}
    where = [(key, field, words) for key, field, words in _keyed(fields) if key in shown]
    description = f"One bar a variant, its parts: {', '.join(words for _, _, words in where)}."
    room = 82 if UNEXPLAINED in dict(fields) else bars.NUMBER
    svg = bars.draw(title, description, label, drawn, room=room)
    return Figure(title, svg, source(run), "", _legend(where))


def _keyed(fields: Fields) -> list[tuple[str, str, str]]:
    """Give every part a key, `?` for what is not explained."""
    if len(fields) == 1:
        return [("", *fields[0])]
    all_of = PEAK if fields == PEAK else (*BEFORE, *ADDED)  # one key in every figure
    keys = {field: str(number) for number, (field, _) in enumerate(all_of, 1)} | {UNEXPLAINED: "?"}
    return [(keys[field], field, words) for field, words in fields]


def _bar(item: Series, fields: Fields) -> bars.Bar:
    known = _values(item, fields)
    parts = tuple(
        bars.Part(known[field], class_of(field), f"{item.name}: {words} {short(known[field])}", key)
        for key, field, words in _keyed(fields)
        if field in known
    )
    rest = known.get(UNEXPLAINED)
    note = "" if rest is None else f", ? {short(rest, 2)}"
    return bars.Bar(cut(item, NAME), item.class_, parts, note)


def class_of(field: str) -> str:
    """Return a part's shade, the same in every figure."""
    if field == UNEXPLAINED:
        return "rest"
    names = [name for name, _ in (*BEFORE, *ADDED, *PEAK)]
    return f"part s{names.index(field) % SHADES}"


def _values(item: Series, fields: Fields) -> dict[str, float]:
    """Return the parts that were measured, in MiB: of the breakdown where there is one."""
    measured: Any = item.variant.memory
    tables = [measured, getattr(measured, "breakdown", None)]
    read: Callable[[str], float | None] = lambda field: next(  # noqa: E731
        (value for table in tables if (value := getattr(table, field, None)) is not None), None
    )
    found = {field: read(field) for field, _ in fields}
    return {field: value for field, value in found.items() if value is not None}


def _legend(where: list[tuple[str, str, str]]) -> Html:
    items = [
        tag("li", tag("span", class_=f"sample {class_of(field)}"), tag("b", key), f" {words}")
        for key, field, words in where
    ]
    return tag("ul", items, class_="legend parts-of")
