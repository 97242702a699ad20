"""Why `advise` says what it says: the numbers, what would change it, and the essay's rule."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from edgeseq.claims.essay import Essay
from edgeseq.claims.evidence import Evidence
from edgeseq.claims.plan import MARGIN
from edgeseq.claims.ranking import Models, Ranked, cheapness, limits, pool_of, rank
from edgeseq.claims.scope import Ground, Question


def nothing_fits(question: Question, pool: Sequence[Models]) -> str:
    """Say why there is no candidate, and what would find one."""
    if not pool:
        return (
            "no model was measured on all that is asked: at this distance, or on every task of the "
            "kind; ask for one task, or: edgeseq claims range --budget full -o DIR"
        )
    said = []
    for name, limit, unit, cost in limits(question):
        values = [value for models in pool if (value := cost(models[0].costs)) is not None]
        if not values:
            said.append(f"{name} was not measured: edgeseq claims edge --budget full -o DIR")
        elif min(values) > limit:
            said.append(f"the least {name} that was measured is {min(values):.3g} {unit}")
    if not said and limits(question):
        said.append("no model fits all budgets at once")
    if not said:
        said.append("the tasks of this kind have no model in common that is as good; ask for one")
    return (
        f"{'; '.join(said)}. A smaller model: edgeseq train {question.task} --model lstm "
        "--params 2k -o run"
    )


def reasons(
    question: Question,
    grounds: Sequence[Ground],
    evidence: Evidence,
    ranked: Sequence[Ranked],
) -> tuple[str, ...]:
    """Return what speaks for the choice, in numbers."""
    choice, good = ranked[0], [item for item in ranked if item.as_good]
    said = []
    asked = [ground for ground in grounds if not ground.distance]
    for n, ground in enumerate(asked):
        effect, metric = choice.behind[n], evidence.metrics.get(ground.task, "score")
        against = "the best that was measured" if effect is None else f"{effect} against the best"
        said.append(
            f"{ground.task}, {100 * ground.share:g} % of its data: {metric} "
            f"{choice.scores[n]:.1f}, {against}"
        )
    name, unit, cost = cheapness(question, good)
    if len(good) > 1:
        value = f", {cost(choice.costs):.3g} {unit}" if unit else ""
        said.append(f"the least {name} of {len(good)} that are as good{value}")
    said += [
        f"remembers over {ground.distance} frames as well as any: {ground.task}"
        for ground in grounds
        if ground.distance
    ]
    if question.streaming:
        said.append("streaming rules nothing out: every family here streams, at what a step costs")
    return tuple(said)


def would_change(
    question: Question,
    grounds: Sequence[Ground],
    evidence: Evidence,
    ranked: Sequence[Ranked],
) -> tuple[str, ...]:
    """Return what would lead to another choice."""
    choice = ranked[0]
    said = list(_open(question, ranked))
    for lifted, name in _lifted(question):
        found = rank(lifted, grounds, evidence, pool_of(grounds, evidence))
        if found and found[0].name != choice.name:
            said.append(f"without the limit of {name}: {found[0].name}")
    said += _other_shares(question, grounds, evidence, choice)
    return tuple(said) or ("nothing that was measured",)


def _lifted(question: Question) -> list[tuple[Question, str]]:
    """Return the question without each of its limits, and what that was."""
    each = [
        (replace(question, max_kib=None), question.max_kib, "KiB"),
        (replace(question, max_us=None), question.max_us, "µs"),
        (replace(question, max_mib=None), question.max_mib, "MiB"),
        (replace(question, max_cpu_s_per_hour=None), question.max_cpu_s_per_hour, "s/hour"),
    ]
    return [(lifted, f"{limit:g} {unit}") for lifted, limit, unit in each if limit is not None]


def _open(question: Question, ranked: Sequence[Ranked]) -> Iterable[str]:
    """Name who would be chosen were it shown to be as good, and may be."""
    choice = ranked[0]
    _, _, cost = cheapness(question, ranked)
    for item in ranked:
        effects = [effect for effect in item.behind if effect]
        may_be = all(effect.high >= -MARGIN[effect.unit] for effect in effects)
        if not item.as_good and may_be and effects and cost(item.costs) < cost(choice.costs):
            yield f"more trainings: {item.name} is cheaper, and open ({effects[0]})"


def _other_shares(
    question: Question, grounds: Sequence[Ground], evidence: Evidence, choice: Ranked
) -> Iterable[str]:
    """Name the shares of the data at which another family is chosen."""
    asked = [ground for ground in grounds if not ground.distance]
    if len(asked) > 1:
        return
    for share in evidence.shares(asked[0].task):
        others = [g if g.distance else replace(g, share=share) for g in grounds]
        found = rank(question, others, evidence, pool_of(others, evidence))
        if found and found[0].family != choice.family:
            yield f"with {100 * share:g} % of the data: {found[0].name}"


def disagrees(rule: Essay | None, ranked: Sequence[Ranked]) -> str:
    """Return where the measurements disagree with the essay's rule; empty: they do not."""
    choice = ranked[0]
    if rule is None or choice.family == rule.family:
        return ""
    theirs = next((item for item in ranked if item.family == rule.family), None)
    if theirs is None:
        return f"no {rule.family} that was measured fits; {choice.name} does"
    effects = "; ".join(str(effect) for effect in theirs.behind if effect)
    word = (
        "is as good, and costs more" if theirs.as_good else "is worse, or not shown to be as good"
    )
    return f"the best {rule.family}, {theirs.name}, {word}" + (
        f" ({effects} against the best)" if effects else ""
    )
