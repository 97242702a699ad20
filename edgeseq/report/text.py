"""Results as tables for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from edgeseq.bench.machine import Machine
from edgeseq.bundle import Bundle, Variant
from edgeseq.devices import DeviceProfile
from edgeseq.measured import Accuracy, Census, Paired
from edgeseq.report.demo import REPORT, DemoResult
from edgeseq.report.html.look import family_name, looks
from edgeseq.report.html.sections import headline
from edgeseq.report.html.table import Column, columns
from edgeseq.report.numbers import NOT_MEASURED
from edgeseq.tasks.base import Score, Streamed, Task

if TYPE_CHECKING:
    from edgeseq.workflows.train import TrainReport


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """Return a plain table; columns whose name ends in `>` are set right."""
    drawn = Table(box=None, title=title, title_justify="left", header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(
            column.rstrip(">"),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",
            no_wrap=number == 0,  # a name cut in two cannot be searched for
        )
    for row in rows:
        drawn.add_row(*row)
    return drawn


def tasks_table(tasks: Mapping[str, Task]) -> RenderableType:
    """List tasks with what a model of each is fed."""
    rows = [
        (
            name,
            task.summary,
            f"{task.frame.size} x {rate(task.frame.rate_hz)}",
            str(task.folds),
            task.source,
        )
        for name, task in tasks.items()
    ]
    hint = (
        "\nYour own data is a task, too: edgeseq train my-data.toml -o run (see README, Your own "
        "data)"
    )
    return Group(table(("task", "what", "frame", "folds>", "source"), rows), hint)


def rate(hz: float) -> str:
    """Return a frame rate as people say it."""
    return f"{hz:g} Hz" if hz >= 1 else f"every {1 / hz:g} s"


def training_table(report: "TrainReport") -> RenderableType:
    """Show a trained model's test score between its baselines and what it was fine-tuned from."""
    checkpoint, test = report.checkpoint, report.checkpoint.scores["test"]
    beside = report.baselines | report.before
    rows = [_score_row(name, score) for name, score in beside.items()]
    name = f"{checkpoint.family}, {checkpoint.parameters:,} parameters"
    how, after = f"best of {len(checkpoint.history)} looks at the validation split", ""
    if checkpoint.tuned:
        recipe = checkpoint.tuned.recipe
        name, how = f"{name}, tuned for {recipe}", f"a fine-tuning of {checkpoint.best_step} steps"
        after = f", then: edgeseq quantize bundle --recipe {recipe}"
    rows.append(_score_row(name, test))
    subjects = ", ".join(f"{who} {value:.1f}" for who, value in test.per_subject.items())
    facts = (
        f"\n{report.run}: task {checkpoint.task}, fold {checkpoint.fold}, seed {checkpoint.seed}, "
        f"trained in {checkpoint.seconds:.0f} s, {how}. Test by subject: {subjects}.\n"
        f"Next: edgeseq export {report.run} -o bundle{after}"
    )
    shown: list[RenderableType] = [
        table(("on the test split", f"{test.metric}>", "scored>"), rows),
        *_streamed({**beside, name: test}),
    ]
    return Group(*shown, facts)


def _streamed(scores: Mapping[str, Score]) -> Iterator[RenderableType]:
    """Show what the scores' predictors do on one endless stream, if any was asked."""
    played = {name: score.streamed for name, score in scores.items() if score.streamed}
    if not played:
        return
    rows = [
        (
            name,
            f"{stream.frame_accuracy:.1f}",
            f"{stream.sequence_accuracy:.1f}",
            _delay(stream),
            f"{stream.undecided:.1f}",
            f"{stream.false_alarms_per_hour:,.0f}",
        )
        for name, stream in played.items()
    ]
    one = next(iter(played.values()))
    heads = (
        "as one stream, never reset", "frames %>", "sequences %>", "delay s (p90)>", "never %>",
        "false alarms/h>",
    )  # fmt: skip
    yield ""
    yield table(heads, rows)
    yield (
        f"\nThe stream: {one.sequences:,} sequences in {one.hours * 3600:,.0f} s of signal; "
        f"a decision counts once it has held for {one.held_s:g} s."
    )


def _delay(stream: Streamed) -> str:
    if stream.delay_s is None or stream.delay_p90_s is None:
        return "none"
    return f"{stream.delay_s:.2f} ({stream.delay_p90_s:.2f})"


def _score_row(name: str, score: Score | Accuracy) -> tuple[str, str, str]:
    return name, f"{score.value:.2f}", f"{score.count:,}"


def bundle_table(bundle: Bundle) -> RenderableType:
    """Show a bundle's variants: size, accuracy, parity, speed, which is preferred and why."""
    manifest = bundle.manifest
    rows = [
        _variant_row(name, variant, preferred=name == manifest.preferred)
        for name, variant in manifest.variants.items()
    ]
    rows += [
        (name, "", "", f"{accuracy.value:.2f}", "", "", "", "", "")
        for name, accuracy in manifest.origin.baselines.items()
    ]
    metric = next((v.accuracy.metric for v in manifest.variants.values() if v.accuracy), "accuracy")
    columns = (
        "variant", "KiB>", "int8 weights (MACs)>", f"{metric}>", "drop (95 %)>", "error / RMS>",
        "decisions changed>", "step us (fp32)>", "needs ONNX Runtime>",
    )  # fmt: skip
    origin = manifest.origin
    tuned = f", fine-tuned for {origin.tuned_for}" if origin.tuned_for else ""
    facts = (
        f"\n{bundle.path}: {origin.family}, {origin.parameters:,} parameters{tuned}, "
        f"task {origin.task}. "
        f"Preferred: {manifest.preferred}, because {manifest.preferred_because}.\n"
        f"Next: edgeseq check {bundle.path}"
    )
    return Group(table(columns, rows), facts)


def _variant_row(name: str, variant: Variant, *, preferred: bool) -> tuple[str, ...]:
    parity, census, latency = variant.parity, variant.census, variant.latency
    return (
        f"{name} *" if preferred else name,
        f"{variant.bytes / 1024:.0f}",
        _share(census) if census else "",
        f"{variant.accuracy.value:.2f}" if variant.accuracy else NOT_MEASURED,
        _drop(variant.paired),
        f"{parity.relative_error:.1e}" if parity else NOT_MEASURED,
        f"{parity.changed_decisions:.2%} of {parity.steps:,}" if parity else NOT_MEASURED,
        f"{latency.median_us:.1f} ({latency.fp32_median_us:.1f})" if latency else "",
        f">= {variant.contract.min_onnxruntime}",
    )


def _share(census: Census) -> str:
    """Return the shares in integers of weights and, if known, of multiply-accumulates."""
    macs = "not known" if census.int8_macs is None else f"{census.int8_macs:.1%}"
    return f"{census.int8_weights:.1%} ({macs})"


def _drop(paired: Paired | None) -> str:
    """Return what is lost against fp32: points, or per cent of its error."""
    if paired is None:
        return ""
    unit = " %" if paired.unit.startswith("%") else ""
    return f"{paired.drop:.2f}{unit} ({paired.low:.2f} to {paired.high:.2f})"


def demo_rows(result: DemoResult) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of a demo's table, the same figures as in its HTML report."""
    shown = columns(result)
    heads = ["model, variant", *map(_head, shown)]
    rows = [
        [
            f"{family_name(look.model.family)} {look.variant.name}"
            + (" *" if look.variant.name == look.model.preferred else ""),
            *(column.cell(look.variant) or NOT_MEASURED for column in shown),
        ]
        for look in looks(result)
    ]
    blank = [""] * (len(shown) - 1)
    rows += [
        [name, f"{accuracy.value:.1f}", *blank] for name, accuracy in result.task.baselines.items()
    ]
    return heads, rows


def _head(column: Column) -> str:
    """Return a column's head on one line; what stands against the reference says so by itself."""
    group = column.group.removesuffix(", µs").removesuffix(", MiB")
    unit = column.group.removeprefix(group).removeprefix(", ")
    if group == "against the reference":
        return column.head
    return " ".join(part for part in (group, column.head, unit) if part)


def demo_summary(result: DemoResult, out: Path) -> RenderableType:
    """Show a demo's answer and table, and where the report is."""
    heads, rows = demo_rows(result)
    verdicts = "\n".join(
        f"Claim {claim.claim}: {claim.word}. {claim.sentence}" for claim in result.claims
    )
    return Group(
        f"{headline(result)}.\n",
        table([heads[0], *(f"{head}>" for head in heads[1:])], rows),
        f"\n* preferred by the bundle.\n\n{verdicts}\n\n"
        f"Measured on {machine_line(result.machine)}.\nOpen {out / REPORT}",
    )


def devices_table(profiles: Sequence[DeviceProfile]) -> RenderableType:
    """List device profiles."""
    rows = [(profile.name, profile.status, profile.summary) for profile in profiles]
    hint = "\nShow one: edgeseq devices NAME. What is this machine: edgeseq devices --detect"
    return Group(table(("device", "status", "what"), rows), hint)


def device_page(profile: DeviceProfile) -> RenderableType:
    """Show all that is known and promised of a device."""
    facts = [(fact.text, fact.source) for fact in profile.facts]
    session = [(name, str(value)) for name, value in asdict(profile.session).items()]
    budget = [
        (name, ", ".join(value) if isinstance(value, tuple) else str(value))
        for name, value in asdict(profile.budget).items()
        if value
    ]
    return Group(
        f"{profile.name} ({profile.status}): {profile.summary}\n",
        table(("fact", "source"), facts),
        "",
        table(("session setting", "value"), [("provider", profile.provider), *session]),
        "",
        table(("budget", "limit"), budget) if budget else "no budget",
    )


def machine_page(machine: Machine, found: Sequence[str]) -> RenderableType:
    """Show what this machine is and which profiles fit it."""
    rows = [
        (name, " ".join(value) if isinstance(value, tuple) else _plain(value))
        for name, value in asdict(machine).items()
    ]
    fits = f"Profiles that fit, best first: {', '.join(found)}" if found else "No profile fits."
    return Group(table(("this machine", ""), rows), f"\n{fits}")


def machine_line(machine: Machine) -> str:
    """Describe a machine in one line."""
    flags = " ".join(flag for flag in machine.flags if "vnni" in flag or "dp" in flag)
    kind = "virtual, " if machine.virtualised else ""
    return (
        f"{machine.cpu} ({kind}{machine.cores} cores{', ' + flags if flags else ''}), "
        f"{machine.onnxruntime}, Python {machine.python}"
    )


def _plain(value: object) -> str:
    return NOT_MEASURED if value is None else str(value)
