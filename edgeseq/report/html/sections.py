"""The words of the report: the answer, the verdicts, and how all of it was measured."""

from collections.abc import Iterable

from edgeseq.bench.machine import Machine
from edgeseq.claims.verdict import Part, Verdict
from edgeseq.report.demo import DemoResult, ModelReport
from edgeseq.report.html.look import Look, a_family, family_name, fastest, scored, shipped
from edgeseq.report.html.markup import Child, Html, join, tag
from edgeseq.report.numbers import NOT_MEASURED, duration, micro, short

BUSY = 0.5
"""Load average a core from which on a machine is called busy."""


def header(result: DemoResult) -> Html:
    """Return the answer first: one sentence, then what it rests on."""
    machine = result.machine
    where = f"{machine.cpu}, {machine.cores} cores, {machine.onnxruntime or 'no ONNX Runtime'}"
    return tag(
        "header",
        tag("p", f"edgeseq demo · {result.task.name} · {result.created[:10]}", class_="eyebrow"),
        tag("h1", headline(result)),
        tag("p", f"{_task(result)} Measured on {where}.", class_="lead"),
        tag("ul", [_shipped_item(look) for look in shipped(result)], class_="answer"),
        tag("p", _verdict_line(result.claims), class_="verdicts"),
    )


def headline(result: DemoResult) -> str:
    """Say how long the fastest variants take, and whether accuracy tells them apart."""
    timed = [
        (look.variant.paced.step.p50_us, look) for look in fastest(result) if look.variant.paced
    ]
    timed.sort(key=lambda item: item[0])
    if not timed:
        return "Two models, exported and proven; latency was not measured"
    pieces = [f"{a_family(look.model.family)} in {micro(time)}" for time, look in timed]
    first, *others = pieces
    text = ", ".join([first.replace(" in ", " answers each frame in ", 1), *others])
    text = text[0].upper() + text[1:]
    edge = next((claim for claim in result.claims if claim.claim == "edge"), None)
    if edge and edge.parts and edge.parts[0].word == "inconclusive":
        return f"{text}; accuracy cannot tell them apart"
    return text


def _task(result: DemoResult) -> str:
    task = result.task
    people = len(task.test_subjects)
    return (
        f"{task.summary}. Tested on fold {task.fold}, one of {task.folds}: {people} "
        f"{'subject' if people == 1 else 'subjects'} never seen in training."
    )


def _shipped_item(look: Look) -> Html:
    variant = look.variant
    facts = [
        variant.accuracy and scored(variant.accuracy),
        f"{short(variant.file_kib)} KiB",
        variant.paced and f"{micro(variant.paced.step.p50_us)} a step paced",
        variant.hot and f"{micro(variant.hot.p50_us)} hot",
        variant.memory
        and variant.memory.attributable_rss_mib is not None
        and f"{short(variant.memory.attributable_rss_mib)} MiB on top of the runtime",
    ]
    quick, faster = look.model.variant(look.model.fastest), ""
    if quick.paced and quick.name != variant.name:
        faster = f"; its fastest variant, {quick.name}: {micro(quick.paced.step.p50_us)} paced"
    return tag(
        "li",
        tag("span", class_=f"swatch {look.class_}"),
        tag("b", look.name),
        ": ",
        ", ".join(str(fact) for fact in facts if fact) + faster,
    )


def _verdict_line(claims: Iterable[Verdict]) -> list[Html]:
    return [
        tag("a", f"{claim.claim}: ", tag("b", claim.word), href=f"#claim-{claim.claim}")
        for claim in claims
    ]


def claims(result: DemoResult) -> list[Html]:
    """Return every claim with its verdict, its parts and their rules."""
    return [_claim(verdict) for verdict in result.claims]


def _claim(verdict: Verdict) -> Html:
    return tag(
        "article",
        tag("h3", tag("q", verdict.hypothesis), id=f"claim-{verdict.claim}"),
        tag("p", _word(verdict.word), " ", verdict.sentence),
        tag("p", verdict.method, class_="note"),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", [tag("th", head, class_="left") for head in _HEADS])),
                tag("tbody", [_part(part) for part in verdict.parts]),
                class_="parts",
            ),
            class_="scroll",
            tabindex=0,
            role="region",
            aria_label=f"Parts of the claim {verdict.claim}",
        ),
        tag("p", "; ".join(verdict.notes) + ".", class_="note") if verdict.notes else None,
        class_="claim",
    )


_HEADS = ("part", "verdict", "found", "rule, written before the run")


def _part(part: Part) -> Html:
    return tag(
        "tr",
        tag("th", part.statement, scope="row"),
        tag("td", _word(part.word)),
        tag("td", part.measured),
        tag("td", part.rule, class_="note"),
    )


def _word(word: str) -> Html:
    return tag("strong", word, class_=f"word {word.replace(' ', '-')}")


def proof(result: DemoResult) -> Html:
    """Say what `check` promised of each bundle and whether it held."""
    return tag("ul", [_proof(model) for model in result.models], class_="plain")


def _proof(model: ModelReport) -> Html:
    broken = [promise for promise in model.promises if promise.status == "broken"]
    kept = sum(promise.status == "kept" for promise in model.promises)
    name = family_name(model.family)
    if not model.promises:
        return tag("li", f"{name}: {NOT_MEASURED}")
    listed = [tag("li", f"{p.variant}: {p.name}: {p.detail}") for p in broken]
    skipped = len(model.promises) - kept - len(broken)
    said = f"{name}: {kept} promises kept, {len(broken) or 'none'} broken, {skipped} not checked"
    return tag("li", said, tag("ul", listed) if listed else None)


def methods(result: DemoResult) -> Html:
    """Return how it was measured, on what, and what was left out."""
    rows: list[tuple[str, Child]] = [
        ("Task", f"{result.task.summary}. {result.task.source}."),
        ("Models", [tag("p", _model(model)) for model in result.models]),
        ("Preferred", [tag("p", _preferred(model)) for model in result.models]),
        ("Latency, hot", _hot(result)),
        ("Latency, paced", _paced(result)),
        ("Memory", _memory(result)),
        ("Harness", _harness(result)),
        ("Checks", proof(result)),
        ("Machine", _machine(result)),
        ("Seconds", ", ".join(f"{k} {duration(v)}" for k, v in result.seconds.items())),
        ("Again", tag("pre", tag("code", "\n".join(result.commands)))),
        ("Not measured", _not_measured(result)),
    ]
    return tag("dl", [join(tag("dt", term), tag("dd", said)) for term, said in rows])


def _model(model: ModelReport) -> str:
    return (
        f"{family_name(model.family)}: {model.description}, {model.parameters:,} parameters; "
        f"trained in {duration(model.train_seconds)} on one core, weights of step "
        f"{model.train_steps:,}."
    )


def _preferred(model: ModelReport) -> str:
    return f"{family_name(model.family)} {model.preferred}: {model.preferred_because}."


def _hot(result: DemoResult) -> str:
    hot = result.hot_settings
    return (
        f"All variants of both models in one process, {hot.rounds} rounds of {hot.block} steps "
        f"each, in random order, through StreamSession.step(), warmed up until steps are steady; "
        f"every {hot.reopen} rounds all sessions are opened afresh. Intervals of ratios: bootstrap "
        "over sessions."
    )


def _paced(result: DemoResult) -> str:
    pace, task = result.pace_settings, result.task
    if pace is None:
        return NOT_MEASURED
    text = (
        f"One step every {1000 / pace.rate_hz:g} ms, {pace.seconds:g} s a variant in "
        f"{pace.segments} alternating segments: caches are cold, as in an app."
    )
    if pace.rate_hz > task.frame_rate_hz:
        text += (
            f" A frame holds {task.samples_per_frame} of the sensor's {task.sample_rate_hz:.3g} "
            f"samples a second, so {task.frame_rate_hz:.3g} steps a second would do: "
            f"{pace.rate_hz:g} is the hard case."
        )
    return text


def _memory(result: DemoResult) -> str:
    measured = next((v.memory for model in result.models for v in model.variants if v.memory), None)
    if measured is None:
        return NOT_MEASURED
    return (
        f"{measured.repeats} fresh processes a variant, {measured.steps:,} steps each; peak "
        "resident memory, minus the peak of the same process with a session that does nothing."
    )


def _harness(result: DemoResult) -> str:
    if result.harness is None:
        return NOT_MEASURED
    text = (
        f"Timing a step that does nothing takes {micro(result.harness.hot.p50_us)}, a session "
        f"whose graph does nothing {micro(result.harness.floor.p50_us)}"
    )
    if result.harness.paced:
        paced = result.harness.paced
        text += (
            f"; pacing it takes {short(paced.cpu_seconds_per_hour)} CPU seconds an hour and wakes "
            f"{micro(paced.late.p50_us)} late"
        )
    return f"{text}. Nothing is subtracted."


def _machine(result: DemoResult) -> str:
    machine = result.machine
    facts = [
        machine.cpu,
        f"{machine.cores} cores",
        machine.memory_mib and f"{machine.memory_mib / 1024:.1f} GiB",
        ", ".join(machine.flags),
        machine.virtualised and "virtual machine",
        machine.system,
        f"Python {machine.python}",
        f"NumPy {machine.numpy}",
        machine.onnxruntime,
        f"edgeseq {result.edgeseq}",
        machine.load_1m is not None and f"load average {machine.load_1m:.2f} at the start",
    ]
    return "; ".join(str(fact) for fact in facts if fact) + "." + busy(machine.load_1m, machine)


def busy(load: float | None, machine: Machine) -> str:
    """Return a warning where others were at work when a benchmark began, or nothing."""
    if load is None or load <= BUSY * machine.cores:
        return ""
    return " Something else was running: distrust the tails of the latencies."


def _not_measured(result: DemoResult) -> Html:
    items = [
        tag("li", f"{what}: {NOT_MEASURED}; {why}") for what, why in result.not_measured.items()
    ]
    return tag("ul", items, class_="plain")
