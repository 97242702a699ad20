"""Candidates in the order in which `advise` would take them; see there for the rule."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edgeseq.claims.effects import Effect
from edgeseq.claims.evidence import Costs, Evidence, Known
from edgeseq.claims.plan import MARGIN, gained
from edgeseq.claims.scope import Ground, Question


@dataclass(frozen=True)
class Ranked:
    """One candidate, where it stands."""

    family: str
    params: int
    """At most so many."""
    precision: str
    scores: tuple[float, ...]
    """Mean score, a task each, in the order of `Advice.tasks`."""
    behind: tuple[Effect | None, ...]
    """How much better than the best of that task it is; none: it is the best."""
    as_good: bool
    """On every task not worse than the best by more than what matters."""
    costs: Costs

    @property
    def name(self) -> str:
        """`lstm int8, 20,000 parameters`."""
        return f"{self.family} {self.precision}, {self.params:,} parameters"


Models = tuple[Known, ...]
"""One model, on each task that was asked for."""


def pool_of(grounds: Sequence[Ground], evidence: Evidence) -> list[Models]:
    """Return what was measured on every ground; far back a family's own size stands for it."""
    asked = [evidence.known(g.task, g.share) for g in grounds if not g.distance]
    remember: set[str] | None = None
    for ground in grounds:
        if ground.distance:
            kept = _remembering(evidence, ground)
            remember = kept if remember is None else remember & kept
    tables = [{known.who: known for known in side} for side in asked]
    everywhere = [who for who in tables[0] if all(who in table for table in tables)]
    return [
        tuple(table[who] for table in tables)
        for who in everywhere
        if remember is None or who[0] in remember
    ]


def _remembering(evidence: Evidence, ground: Ground) -> set[str]:
    """Return the families that are not worse than the best of them at that distance."""
    known = evidence.known(ground.task, ground.share)
    if not known:
        return set()
    best = _best(known, higher=evidence.higher_is_better[ground.task])
    return {item.family for item in known if _good(_behind(item, best, evidence, ground))}


def _best(known: Iterable[Known], *, higher: bool) -> Known:
    return (max if higher else min)(known, key=lambda item: item.mean)


def _behind(item: Known, best: Known, evidence: Evidence, ground: Ground) -> Effect | None:
    higher = evidence.higher_is_better[ground.task]
    return gained(item.values, best.values, higher_is_better=higher)


def _good(effect: Effect | None) -> bool:
    return effect is not None and effect.low > -MARGIN[effect.unit]


def limits(question: Question) -> list[tuple[str, float, str, Callable[[Costs], float | None]]]:
    """Return what was asked for: its name, the limit, its unit, and what is held against it."""
    step = _step(question)
    asked = [
        ("file", question.max_kib, "KiB", lambda costs: costs.kib),
        ("step", question.max_us, "µs", step),
        ("memory", question.max_mib, "MiB", lambda costs: costs.memory_mib),
        ("CPU time", question.max_cpu_s_per_hour, "s/hour", lambda costs: costs.cpu_s_per_hour),
    ]
    return [(name, limit, unit, cost) for name, limit, unit, cost in asked if limit is not None]


def _step(question: Question) -> Callable[[Costs], float | None]:
    """Return a step's time as it will be fed: paced where it streams."""
    if question.streaming:
        return lambda costs: costs.paced_us
    return lambda costs: costs.hot_us


def _fits(question: Question, models: Models) -> bool:
    held = [
        (cost(known.costs), limit) for _, limit, _, cost in limits(question) for known in models
    ]
    return all(value is not None and value <= limit for value, limit in held)


def rank(
    question: Question, grounds: Sequence[Ground], evidence: Evidence, pool: Sequence[Models]
) -> tuple[Ranked, ...]:
    """Apply the rule."""
    fitting = [models for models in pool if _fits(question, models)]
    if not fitting:
        return ()
    asked = [ground for ground in grounds if not ground.distance]
    best = [
        _best([m[n] for m in fitting], higher=evidence.higher_is_better[g.task])
        for n, g in enumerate(asked)
    ]
    standing = [_ranked(models, best, asked, evidence) for models in fitting]
    good = [item for item in standing if item.as_good]
    _, _, cost = cheapness(question, good)
    good.sort(key=lambda item: (cost(item.costs), item.params, item.family))
    others = [item for item in standing if not item.as_good]
    others.sort(key=lambda item: -sum(e.mean for e in item.behind if e))
    return (*good, *others) if good else ()


def _ranked(
    models: Models, best: Sequence[Known], asked: Sequence[Ground], evidence: Evidence
) -> Ranked:
    behind = tuple(
        None if known.who == top.who else _behind(known, top, evidence, ground)
        for known, top, ground in zip(models, best, asked, strict=True)
    )
    good = all(
        known.who == top.who or _good(effect)
        for known, top, effect in zip(models, best, behind, strict=True)
    )
    first = models[0]
    scores = tuple(known.mean for known in models)
    return Ranked(first.family, first.params, first.precision, scores, behind, good, first.costs)


def cheapness(
    question: Question, good: Sequence[Ranked]
) -> tuple[str, str, Callable[[Costs], float]]:
    """Return the first quantity that is known of all who are as good: name, unit, value."""
    quantities: list[tuple[str, str, Callable[[Costs], float | None]]] = [
        ("CPU time", "s/hour", lambda costs: costs.cpu_s_per_hour),
        ("step", "µs", _step(question)),
        ("file", "KiB", lambda costs: costs.kib),
    ]
    for name, unit, cost in quantities:
        if good and all(cost(item.costs) is not None for item in good):
            return name, unit, lambda costs, cost=cost: cost(costs) or 0.0
    return "parameters", "", lambda _: 0.0
