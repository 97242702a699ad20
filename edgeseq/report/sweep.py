"""A sweep as tables: what was chosen, and the price of everything else."""

from dataclasses import asdict

from edgeseq.bench.sweep import Price, SweepResult
from edgeseq.report.numbers import short
from edgeseq.report.sheet import Sheet
from edgeseq.report.text import machine_line

MEANING = {
    "onnxruntime": "ONNX Runtime's defaults",
    "binding=by name": "no IO binding: run() with the state fed back by name",
    "before": "the settings that it had",
}


def sweep_sheets(result: SweepResult) -> list[Sheet]:
    """Return what a sweep chose and what each other setting costs."""
    rows = tuple(_row(price) for price in sorted(result.prices, key=lambda one: one.ratio.ratio))
    busy = result.cpu_seconds_per_hour
    chosen = ("chosen", "1", "", "" if busy is None else short(busy), "")
    columns = ("change", "times>", "95 %>", "CPU s/hour>", "verdict")
    excluded = tuple(f"Not timed: {change}: {why}." for change, why in result.excluded.items())
    return [
        Sheet(("setting", "before", "chosen"), _settings(result)),
        Sheet(columns, (chosen, *rows), excluded),
        Sheet((), (), tuple(_said(result))),
    ]


def _settings(result: SweepResult) -> tuple[tuple[str, ...], ...]:
    before, chosen = asdict(result.subject.session), asdict(result.chosen)
    return tuple((name, _plain(before[name]), _plain(chosen[name])) for name in chosen)


def _row(price: Price) -> tuple[str, ...]:
    ratio, busy = price.ratio, price.cpu_seconds_per_hour
    return (
        MEANING.get(price.change, price.change),
        f"{ratio.ratio:.3f}",
        f"{ratio.low:.3f} to {ratio.high:.3f}",
        "" if busy is None else short(busy),
        price.why,
    )


def _said(result: SweepResult) -> list[str]:
    name = result.subject.name
    if result.written:
        first = f"{name}: the manifest has the chosen settings now."
    elif result.chosen == result.subject.session:
        first = f"{name}: nothing beats the settings that it has; the manifest is as it was."
    else:
        first = f"{name}: the manifest is as it was; the chosen settings are: {_line(result)}."
    unsettled = "" if result.settled else " The last pass still found better ones: sweep again."
    pace = result.pace_settings
    paced = f"CPU at {pace.rate_hz:g} Hz, pacing included" if pace else "CPU was not measured"
    return [
        first + unsettled,
        f"{len(result.passes)} pass(es); hot steps against the chosen settings, in turns; {paced}.",
        f"{result.status.capitalize()} with {result.subject.provider} on "
        f"{machine_line(result.machine)}.",
    ]


def _line(result: SweepResult) -> str:
    """Return what was changed as `--session` takes it."""
    before, chosen = asdict(result.subject.session), asdict(result.chosen)
    changed = (name for name in chosen if chosen[name] != before[name])
    return ",".join(f"{name}={_plain(chosen[name])}" for name in changed)


def _plain(value: object) -> str:
    return str(value).lower()
