"""The page of a search: what was chosen, what every candidate costs, and what each weight does."""

from collections.abc import Sequence
from importlib.resources import files

from edgeseq.claims.pareto import front
from edgeseq.report.auto import AutoResult, Candidate, Sensitivity
from edgeseq.report.auto_sheets import (
    candidates_sheet,
    conclusion,
    confirmed_sheet,
    notes,
    sensitivity_sheet,
    unit,
)
from edgeseq.report.html import bars, scatter
from edgeseq.report.html.chart import Chart
from edgeseq.report.html.markup import Child, Html, section, tag
from edgeseq.report.html.page import document
from edgeseq.report.html.results.figure import Figure, grid
from edgeseq.report.html.results.sheets import sheets
from edgeseq.report.numbers import short
from edgeseq.report.text import machine_line

RULE = (
    "Candidates are the shipped recipes, and the steps of a walk: the narrowest scheme for all "
    "weights, then, while a limit breaks, the next quieter scheme for the weight whose noise power "
    "is largest for a byte. What keeps every limit is timed in turns with fp32. Of what is smaller "
    "and faster than fp32 and as fast as the fastest, to 3 %, the smallest is preferred."
)
BARS = 24
"""Most rows of a figure."""


def render(result: AutoResult) -> str:
    """Return the report of a search as one self-contained HTML page."""
    style = (files("edgeseq.report.html.results") / "results.css").read_text(encoding="utf-8")
    return document(f"edgeseq quantize --auto: {result.bundle}", _body(result), style)


def headline(result: AutoResult) -> str:
    """Return what was chosen, in one line."""
    chosen, fp32 = result.candidate(result.chosen), result.fp32
    if chosen is fp32 or chosen.timing is None:
        return f"{result.bundle} stays in fp32"
    smaller = fp32.finding.bytes / chosen.finding.bytes
    return (
        f"{result.bundle} as {chosen.name}: {smaller:.1f} times smaller, "
        f"{1 / chosen.timing.ratio:.2f} times as fast"
    )


def _body(result: AutoResult) -> Html:
    origin = result.origin
    made = f"{result.created[:10]} · {origin.family} on {origin.task}, fold {origin.fold}"
    return tag(
        "main",
        tag(
            "header",
            tag("p", f"edgeseq quantize --auto · {made}", class_="eyebrow"),
            tag("h1", headline(result)),
            tag("p", conclusion(result), class_="lead"),
            tag("p", RULE, class_="note"),
        ),
        section(
            "What was tried",
            sheets([candidates_sheet(result)], _names(result)),
            grid([size_against_noise(result), time_against_loss(result)], result.bundle),
        ),
        section(
            "What each weight costs",
            sheets([sensitivity_sheet(result)]),
            grid(sensitivities(result), result.bundle),
        ),
        section("On the test recordings", sheets([confirmed_sheet(result)])),
        section("How", [tag("p", note) for note in notes(result)]),
        tag("footer", tag("p", f"{result.edgeseq} · {result.created}")),
    )


def _class(one: Candidate) -> str:
    """Return how a candidate looks: hollow where it breaks a limit."""
    colour = {"export": "c2", "recipe": "c0", "walk": "c1"}[one.made_by]
    return colour if one.keeps else f"{colour} int8"


def _names(result: AutoResult) -> dict[str, Child]:
    return {
        one.name: [
            tag("span", class_=f"swatch {_class(one)}"),
            tag("b", one.name) if one.name == result.chosen else one.name,
        ]
        for one in result.candidates
    }


def size_against_noise(result: AutoResult) -> Figure:
    """Draw the signal to noise ratio of every candidate against its size."""
    title = "Signal to noise against size"
    shown = [(one, parity) for one in result.candidates[1:] if (parity := one.finding.parity)]
    if not shown:
        return Figure(title, None, _always(result))
    points = {
        one.name: scatter.Point(
            one.finding.bytes / 1024,
            parity.sqnr_db,
            one.name,
            _class(one),
            f"{one.name}: {one.finding.bytes / 1024:.1f} KiB, {parity.sqnr_db:.1f} dB",
        )
        for one, parity in shown
    }
    best = front(points.values(), lambda point: point.y, lambda point: point.x)
    drawing = _scatter(
        title, list(points.values()), ("size of the ONNX file, KiB", "dB over noise"), best
    )
    caption = (
        f"Left and higher is better; hollow: a limit breaks. fp32 has "
        f"{short(result.fp32.finding.bytes / 1024)} KiB and no noise. No other candidate beats "
        f"{_listed(best)}."
    )
    return Figure(title, drawing, _always(result), caption)


def time_against_loss(result: AutoResult) -> Figure:
    """Draw what was lost against the time of a step, of all that were timed."""
    title = "Loss against time"
    points = [
        scatter.Point(
            timing.p50_us,
            loss,
            one.name,
            _class(one),
            f"{one.name}: {timing.p50_us:.1f} µs, lost {loss:.3f} {unit(result)}",
        )
        for one in result.candidates
        if (timing := one.timing) and (loss := _lost(one)) is not None
    ]
    source = tag(
        "p",
        tag("span", "measured", class_="status measured"),
        f" {machine_line(result.machine)}",
        class_="source",
    )
    if len(points) < 2:
        return Figure(title, None, source)
    best = front(points, lambda point: -point.y, lambda point: point.x)
    drawing = _scatter(title, points, ("hot step, p50, µs", f"lost, {unit(result)}"), best)
    limit = f"Left and lower is better; the limit is {result.max_drop:g}."
    return Figure(title, drawing, source, f"{limit} No other candidate beats {_listed(best)}.")


def _lost(one: Candidate) -> float | None:
    if one.made_by == "export":
        return 0.0
    return one.finding.paired.drop if one.finding.paired else None


def _scatter(
    title: str,
    points: Sequence[scatter.Point],
    labels: tuple[str, str],
    best: Sequence[scatter.Point],
) -> Html:
    chart = Chart(title, "One point a candidate; the dashed line joins those that no other beats.")
    x, y = scatter.draw(chart, points, labels, front=best)
    places = [(x(point.x), y(point.y)) for point in points]
    scatter.name_points(chart, places, [(point.name, point.class_) for point in points])
    return chart.svg()


def sensitivities(result: AutoResult) -> list[Figure]:
    """Draw, for each scheme, the noise of each weight quantized alone, the costliest first."""
    schemes = dict.fromkeys(one.scheme for one in result.sensitivities)
    return [_sensitivity(result, scheme) for scheme in schemes]


def _sensitivity(result: AutoResult, scheme: str) -> Figure:
    title = f"One weight in {scheme}, everything else in fp32"
    own = [one for one in result.sensitivities if one.scheme == scheme]
    own.sort(key=lambda one: -(one.power_per_kib or 0.0))
    drawn = [bars.Bar(one.weight, "c0", _bar(one)) for one in own[:BARS]]
    label = "RMS error of the outputs, % of their RMS"
    drawing = bars.draw(title, "One bar a weight.", label, drawn) if drawn else None
    rest = f" {len(own) - BARS} quieter ones are not shown." if len(own) > BARS else ""
    caption = f"Costliest first: noise power for a byte, the order of the walk.{rest}"
    return Figure(title, drawing, _always(result), caption)


def _bar(one: Sensitivity) -> tuple[bars.Part, ...]:
    if one.noise is None:
        return ()
    tip = f"{one.weight}, {one.elements:,} values: {100 * one.noise:.3f} %"
    return (bars.Part(100 * one.noise, "c0", tip),)


def _always(result: AutoResult) -> Html:
    """Say of a figure that it comes out the same again."""
    said = f"{result.steps:,} real frames, state fed back; the same on every run."
    return tag("p", said, class_="source")


def _listed(points: Sequence[scatter.Point]) -> str:
    return ", ".join(point.name for point in points)
