"""The page of one decision: its input, what mattered, and what went on inside."""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from edgeseq import __version__
from edgeseq.explain.explanation import Explanation
from edgeseq.explain.inside import Attended, Gates
from edgeseq.report.explain import headline, named, peaks, shares, sheets, subject
from edgeseq.report.html.chart import LEFT
from edgeseq.report.html.heat import MOST, Heat, heat
from edgeseq.report.html.markup import Html, section, tag
from edgeseq.report.html.page import document
from edgeseq.report.html.results.sheets import sheets as tables
from edgeseq.report.html.strips import COLOURS, Bars, Curves, strips
from edgeseq.report.numbers import short

Exact = NDArray[np.float64]

CELLS = 22_000
"""Cells of all maps of a page together: they bound its size."""
HEADS = 8
"""Maps of attention; where there are more, the mean over heads is drawn."""
LETTERS = 600
"""Tokens of a text that are shown, the last ones."""

CAPTION = "Decided at the last frame. Bars of occlusion that hang speak against the decision."
METHODS = {
    "occlusion": "A stretch of frames is replaced by what says nothing (each channel's mean here; "
    "of text, a space), and the model answers again. Up: the score falls without the stretch, "
    "which speaks for the decision; down: against it. Zeiler & Fergus 2014, arXiv:1311.2901.",
    "gates": "How much of what each frame wrote into the cells is still there, and shown, at the "
    "decision: input gate times the candidate's size, times every forget gate since, summed over "
    "units by the output gate; of a GRU, what the update gate lets in and keeps. Layers are "
    "multiplied. Whether the decision needed it is not asked.",
    "attention": "Rollout: the mean over heads, half of it each place itself because of the "
    "residual, layers multiplied. Abnar & Zuidema 2020, arXiv:2005.00928. What was looked at, not "
    "whether it was needed.",
    "gradient x input": "The score's slope by each value, times the value's distance from what "
    "says nothing; absolute values added up over a frame. Simonyan et al. 2013, arXiv:1312.6034.",
    "integrated gradients": "The same slope, averaged on the way from nothing to the input: all "
    "shares add up to the difference. Sundararajan et al. 2017, arXiv:1703.01365.",
}
AGREEMENT = (
    "Agreement is Spearman's rank correlation with occlusion, 1 for the same order of frames, each "
    "blurred over the same stretches. Late frames mostly matter more, whoever says so; the last "
    "row is what recency alone gets, and beyond recency is the partial correlation that is left."
)


def render(explanation: Explanation) -> str:
    """Return the page as one self-contained HTML file."""
    folder = files("edgeseq.report.html")
    style = "".join(
        folder.joinpath(*name).read_text(encoding="utf-8")
        for name in (("results", "results.css"), ("heat.css",), ("explain.css",))
    )
    return document(f"edgeseq explain: {explanation.target.label}", _body(explanation), style)


def _body(explanation: Explanation) -> Html:
    parts = [
        section("What mattered", _what_mattered(explanation)),
        _inside("Gates", explanation, _gates(explanation)),
        _inside("Attention", explanation, _attention(explanation)),
        section("Methods", _methods(explanation)),
    ]
    return tag(
        "main",
        tag(
            "header",
            tag("p", f"edgeseq explain · {subject(explanation)}", class_="eyebrow"),
            tag("h1", f"{headline(explanation)}"),
            tag("p", _lead(explanation), class_="lead"),
        ),
        [part for part in parts if part is not None],
        tag("footer", tag("p", f"edgeseq {__version__} · edgeseq explain --json has every number")),
    )


def _lead(explanation: Explanation) -> str:
    if not explanation.measures:
        return "No method was asked."
    first = explanation.measures[0]
    where = named(peaks(first.importance))
    said = f"By {first.name}, the frames that matter most: {where}."
    if found := sorted(shares(explanation), key=lambda item: -item[1]):
        name, share, _ = found[0]
        said += f" Of the channels it is {name}, with {short(100 * share, 2)} % of what all matter."
    return said


def _what_mattered(explanation: Explanation) -> list[Html]:
    """Return the input beside everything that was said of it, and the tables below."""
    figures = [
        _figure(_strips(explanation), CAPTION),
        _many_channels(explanation),
        _channel_heat(explanation),
    ]
    _, *said = sheets(explanation)
    drawn = [
        _text(explanation) if explanation.frame.vocabulary else None,
        tag("div", [figure for figure in figures if figure], class_="figures"),
        tables(said),
        tag("p", AGREEMENT, class_="note") if len(explanation.agreements()) > 1 else None,
    ]
    return [part for part in drawn if part]


def _strips(explanation: Explanation) -> Html:
    parts: list[Curves | Bars] = [*_signal(explanation)]
    for measure in explanation.measures:
        asked = explanation.occlusion
        outside = measure.name == "occlusion" and asked is not None
        unit = f", {explanation.target.unit}" if outside and explanation.target.unit else ""
        values = asked.change if outside and asked is not None else measure.importance
        parts.append(Bars(f"{measure.name}{unit}", values))
    label = f"frame, {short(explanation.frame.rate_hz)} a second"
    description = "The input, and under it how much each of its frames matters by each method."
    return strips("Input and importance", description, parts, len(explanation.frames), label)


def _by_channel(explanation: Explanation) -> Exact:
    """Return the input's samples by channel, `(channels, T * samples)`."""
    channels = len(explanation.frame.channels)
    return explanation.frames.reshape(-1, channels).T.astype(np.float64)


def _signal(explanation: Explanation) -> list[Curves]:
    """Return a strip for each unit, if its channels can be told apart."""
    frame = explanation.frame
    if frame.vocabulary:
        return []
    values = _by_channel(explanation)
    found = []
    for unit in dict.fromkeys(frame.units):
        own = [
            (n, v) for n, u, v in zip(frame.channels, frame.units, values, strict=True) if u == unit
        ]
        if len(own) <= COLOURS:
            found.append(Curves(unit or "value", own))
    return found


def _many_channels(explanation: Explanation) -> Html | None:
    """Draw units of more channels than curves can show as maps."""
    frame = explanation.frame
    found = [unit for unit in dict.fromkeys(frame.units) if frame.units.count(unit) > COLOURS]
    if not found or frame.vocabulary:
        return None
    unit = found[0]
    own = [index for index, other in enumerate(frame.units) if other == unit]
    values = _by_channel(explanation)[own].reshape(len(own), len(explanation.frames), -1).mean(2)
    data = Heat(
        "Input", [frame.channels[i] for i in own], _frame_names(values.shape[1]), values, unit
    )
    return _figure(
        heat(data, column_label="frame"), "The input, channel by channel.", title="Input"
    )


def _channel_heat(explanation: Explanation) -> Html | None:
    if explanation.occlusion is None or len(explanation.frame.channels) < 2:
        return None
    values = np.abs(explanation.occlusion.channels)
    names = explanation.frame.channels
    unit = explanation.target.unit
    data = Heat("Occlusion by channel", names, _frame_names(values.shape[1]), values, unit)
    drawing = heat(data, column_label="frame", low=0.0, height=max(60.0, 22.0 * len(names)))
    caption = "How much the score changes without a stretch of one channel alone."
    return _figure(drawing, caption, title="By channel")


def _gates(explanation: Explanation) -> list[Html]:
    return [
        _figure(
            _gate_map(explanation, layer, name),
            f"Unit by frame; units in the order of how long they keep. 1: {_OPEN[name]}.",
            title=f"Layer {layer.layer}, {name} gate",
        )
        for layer in explanation.gates
        for name in layer.activations
    ]


_OPEN = {
    "input": "what the frame brings is written",
    "forget": "what was there is kept",
    "output": "what is there is shown",
    "update": "what was there is kept, nothing is written",
    "reset": "what was there has its say in what is written",
}


def _gate_map(explanation: Explanation, layer: Gates, name: str) -> Html:
    maps = sum(len(other.activations) for other in explanation.gates)
    order = np.argsort(-layer.kept().mean(0), kind="stable")
    values = layer.activations[name][:, order].T  # (H, T)
    title = f"Layer {layer.layer}, {name} gate"
    data = Heat(title, [str(unit) for unit in order], _frame_names(values.shape[1]), values)
    return heat(
        data, row_label="unit", column_label="frame", low=0.0, high=1.0, left=float(LEFT),
        height=170.0,
        most=_most(explanation, maps, values.shape, rows=MOST[0], filled=1),
    )  # fmt: skip


def _attention(explanation: Explanation) -> list[Html]:
    layers = explanation.attention
    heads = sum(len(layer.weights) for layer in layers)
    drawn: list[tuple[str, Attended, Exact]] = []
    for layer in layers:
        where = f"Layer {layer.layer}"
        if heads > HEADS:
            drawn.append((f"{where}, mean of {len(layer.weights)} heads", layer, layer.flow()))
        else:
            drawn += [(f"{where}, head {n}", layer, w) for n, w in enumerate(layer.weights)]
    return [
        _figure(
            _attention_map(explanation, title, layer.first, weights, len(drawn)),
            "Row: the frame that looks; column: the frame that is looked at. The darkest shade is "
            "that much or more.",
            title=title,
        )
        for title, layer, weights in drawn
    ]


def _attention_map(
    explanation: Explanation, title: str, first: int, weights: Exact, maps: int
) -> Html:
    names = _frame_names(len(weights), first)
    high = float(np.quantile(weights[weights > 0], 0.98)) if (weights > 0).any() else 1.0
    data = Heat(title, names, names, weights)
    return heat(
        data, row_label="frame", column_label="looked at", low=0.0, high=high, left=float(LEFT),
        height=300.0,
        most=_most(explanation, maps, weights.shape, rows=MOST[1], filled=0.5),
    )  # fmt: skip


def _most(
    explanation: Explanation, maps: int, shape: tuple[int, ...], *, rows: int, filled: float
) -> tuple[int, int]:
    """Return the rows and columns that each of so many maps may have, which are so far `filled`."""
    high, wide = min(shape[0], rows), min(shape[1], MOST[1])
    kinds = bool(explanation.gates) + bool(explanation.attention)
    share = min(1.0, (CELLS / kinds / filled / maps / (high * wide)) ** 0.5)
    return max(12, int(high * share)), max(24, int(wide * share))


def _frame_names(count: int, first: int = 0) -> list[str]:
    return [str(first + frame) for frame in range(count)]


def _text(explanation: Explanation) -> Html:
    """Shade the letters of a text by how much they matter."""
    measure = explanation.measures[0]
    tokens = explanation.frames[-LETTERS:, 0].astype(int)
    importance = measure.importance[-len(tokens) :]
    share = importance / (importance.max(initial=0.0) or 1.0)
    letters = [
        tag(
            "span", explanation.frame.vocabulary[token], class_="much" if part > 0.55 else None,
            style=f"--share:{100 * part:.0f}%",
        )
        for token, part in zip(tokens, share, strict=True)
    ]  # fmt: skip
    cut = f"The last {LETTERS} tokens. " if len(explanation.frames) > LETTERS else ""
    caption = f"{cut}The darker, the more it matters by {measure.name}."
    return tag("figure", tag("p", letters, class_="tokens"), tag("figcaption", caption))


def _inside(title: str, explanation: Explanation, figures: list[Html]) -> Html | None:
    if not figures:
        return None
    return section(title, tag("div", figures, class_="figures"))


def _methods(explanation: Explanation) -> Html:
    names = [measure.name for measure in explanation.measures]
    rows = [
        tag("dt", name) + tag("dd", tag("p", METHODS[name])) for name in names if name in METHODS
    ]
    return tag("dl", [Html(row) for row in rows])


def _figure(drawing: Html, caption: str, title: str = "") -> Html:
    head = tag("h4", title) if title else None
    return tag("figure", head, drawing, tag("figcaption", caption))
