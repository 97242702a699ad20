"""Answers of a running model: a line a frame for pipes, JSON, and a board for a terminal."""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from edgeseq.contract import Output
from edgeseq.report.numbers import duration, micro, percent, short
from edgeseq.report.soak import sparkline
from edgeseq.runtime.feed import Answer, Feed
from edgeseq.runtime.generate import probabilities
from edgeseq.runtime.text import TextFeed

SHOWN = 12
"""Classes on a board; of more, the most likely."""
PAST = 20
"""Values that a sparkline is drawn from."""
LABEL = 30
"""Columns that a label may take."""


def record(answer: Answer, output: Output) -> dict[str, Any]:
    """Return an answer as JSON values; each output reads back as the very float32 it was."""
    said: dict[str, Any] = {
        "frame": answer.frame,
        "seconds": round(answer.seconds, 6),
        "outputs": dict(zip(output.labels, map(_exact, answer.outputs), strict=True)),
    }
    if output.kind == "value":
        return said | {"units": output.units}
    likely = probabilities(answer.outputs)
    best = int(answer.outputs.argmax())
    return said | {
        "probabilities": dict(zip(output.labels, likely.round(6).tolist(), strict=True)),
        "decision": output.labels[best],
    }


def line(answer: Answer, output: Output) -> str:
    """Return an answer as one line: frame, seconds, then class and probability, or the values."""
    cells = [str(answer.frame), f"{answer.seconds:.6f}".rstrip("0").rstrip(".")]
    if output.kind == "value":
        cells += [*map(str, answer.outputs), *filter(None, [output.units])]
    else:
        best = int(answer.outputs.argmax())
        cells += [output.labels[best], f"{probabilities(answer.outputs)[best]:.4f}"]
    return "\t".join(cells)


def _exact(value: np.float32) -> float:
    """Return a float that is written in as few digits as tell this float32 from all others."""
    return float(str(value))


class Board:
    """The newest answer, redrawn in place: how sure of which class, or where values go."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._answer: Answer | None = None
        self._decided: Counter[int] = Counter()
        self._past: deque[NDArray[np.float32]] = deque(maxlen=PAST)

    def tell(self, answer: Answer) -> None:
        """Take in an answer; drawing is for whoever shows the board."""
        self._answer = answer
        if self._output.kind == "logits":
            self._decided[int(answer.outputs.argmax())] += 1
        else:
            self._past.append(answer.outputs)

    def __rich__(self) -> RenderableType:
        answer = self._answer
        if answer is None:
            return "waiting for the first frame"
        drawn = self._classes if self._output.kind == "logits" else self._values
        when = f"frame {answer.frame:,}, at {timedelta(seconds=round(answer.seconds))}"
        return Group(when, drawn(answer.outputs))

    def _classes(self, outputs: NDArray[np.float32]) -> Table:
        likely = probabilities(outputs)
        best, told = int(outputs.argmax()), sum(self._decided.values())
        table = _grid("class", "", "now>", "of all frames>")
        for index in self._listed(likely):
            share = float(likely[index])
            bar = ProgressBar(1.0, share, complete_style="cyan", finished_style="cyan")
            table.add_row(
                escape(self._output.labels[index]),
                bar,
                percent(share, 1),
                percent(self._decided[index] / told, 1),
                style="bold" if index == best else "",
            )
        return table

    def _listed(self, likely: NDArray[np.float64]) -> list[int]:
        if len(likely) <= SHOWN:
            return list(range(len(likely)))
        return [int(index) for index in np.argsort(-likely, kind="stable")[:SHOWN]]

    def _values(self, outputs: NDArray[np.float32]) -> Table:
        table = _grid("value", "", "now>", "")
        for index, label in enumerate(self._output.labels[:SHOWN]):
            past = tuple(float(values[index]) for values in self._past)
            now = short(float(outputs[index]), 4)
            table.add_row(escape(label), sparkline(past), now, escape(self._output.units))
        return table


def _grid(*columns: str) -> Table:
    """Return a table as wide as the terminal, whose second column takes what is left."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for number, column in enumerate(columns):
        table.add_column(
            column.rstrip(">"),
            justify="right" if column.endswith(">") else "left",
            ratio=1 if number == 1 else None,
            max_width=LABEL if number == 0 else None,
            no_wrap=True,
        )
    return table


def summary(feed: Feed, seconds: float, *, kept: bool) -> Iterator[str]:
    """Say how a run went: how many frames how fast, and what must be known about the answers."""
    if not feed.nanoseconds:
        return
    contract = feed.session.contract
    p50, p99 = np.quantile(np.array(feed.nanoseconds) / 1e3, (0.5, 0.99))
    pace = f"{short(feed.fed / seconds)} a second"
    if feed.real_time:
        pace = f"{short(contract.frame.rate_hz)} Hz, {feed.missed:,} answered too late"
    frames = f"{feed.fed:,} frame{'' if feed.fed == 1 else 's'} in {_took(seconds)}"
    yield f"{frames}, {pace}; a step took {micro(p50)} (p50), {micro(p99)} (p99)"
    if left := len(feed.pending):
        what = "kept for the next run" if kept else "not fed"
        yield f"{left} sample{'' if left == 1 else 's'} at the end make no frame: {what}"
    if contract.output.kind == "logits" and contract.output.decision:
        yield f"Shown is the largest output of each frame; for an app: {contract.output.decision}"


def _took(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else micro(1e6 * seconds)


def text_summary(feed: TextFeed, seconds: float) -> Iterator[str]:
    """Say how fast text came."""
    if feed.told:
        pace = f"{short(feed.told / seconds)} a second"
        yield f"\n{feed.told:,} tokens in {_took(seconds)}, {pace}"
