"""Claim `edge`: "a small LSTM is still the right thing on a constrained device".

Both models have the same number of parameters. What counts is written here, before anything was
measured. The claim says all of this at once:

- accurate enough: the LSTM is at most `MARGIN` worse than the Transformer. Two points are far
  below what one person differs from the next (7-8 points), so nobody would choose by less. The
  interval is the wider one of two: over recordings (these people) and over subjects (people).
- cheaper in size, latency, memory and CPU time: at each precision the cheapest variant of either
  model counts; the LSTM takes at most `CHEAPER` of the Transformer's, in fp32 and in int8. Less
  than 5 % is within what a rebuild of the runtime changes. Refuted where it is the other way
  round in both; where the precisions disagree, or differ by less, nothing is decided.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeseq.claims.cell import Cell
from edgeseq.claims.claim import Claim
from edgeseq.claims.effects import difference
from edgeseq.claims.figures import Figure, Points
from edgeseq.claims.figures import Point as Mark
from edgeseq.claims.intervals import Difference
from edgeseq.claims.panels import NAMES
from edgeseq.claims.pareto import front
from edgeseq.claims.plan import POINTS, Plan
from edgeseq.claims.verdict import Part, Verdict, Word, combine

NAME = "edge"
HYPOTHESIS = "A small LSTM is still the right thing on a constrained device."
METHOD = (
    "Accuracy against size, latency when paced, memory and CPU time at the same number "
    "of parameters, in fp32 and in int8; the cheapest variant of either model at each precision."
)
MARGIN = 2.0
CHEAPER = 0.95


@dataclass(frozen=True)
class Point:
    """One variant in the plane of what it gives and what it costs; none: not measured."""

    family: str
    variant: str
    precision: str
    accuracy: float | None
    """Score, or minus the error: more is better."""
    size_kib: float
    paced_us: float | None
    """Median step when paced."""
    memory_mib: float | None
    """Peak of a fresh process minus that of a session that does nothing."""
    cpu_s_per_hour: float | None
    """Of the whole process when paced, pacing loop included."""


Cost = Callable[[Point], float | None]

COSTS: dict[str, tuple[str, Cost]] = {
    "size": ("KiB", lambda point: point.size_kib),
    "latency": ("µs", lambda point: point.paced_us),
    "memory": ("MiB", lambda point: point.memory_mib),
    "CPU time": ("s/hour", lambda point: point.cpu_s_per_hour),
}


@dataclass(frozen=True)
class Evidence:
    """What decides the claim."""

    points: tuple[Point, ...]
    differences: tuple[Difference, ...]
    """How much better the LSTM is (positive: better), over recordings and over subjects."""
    unit: str
    """Of the differences: `points`, `mg/dL`."""
    margin: float = MARGIN


def judge(evidence: Evidence) -> Verdict:
    """Apply the rules above."""
    parts = (_accurate(evidence), *(_cheaper(evidence, name) for name in COSTS))
    word = combine(parts)
    sentence = _sentence(evidence, parts)
    numbers, notes = _numbers(evidence), _fronts(evidence)
    return Verdict(NAME, HYPOTHESIS, METHOD, word, sentence, parts, numbers, notes)


def _fronts(evidence: Evidence) -> tuple[str, ...]:
    """Name the variants that no other beats; the order of near-equal accuracies is chance."""
    fronts = {name: pareto(evidence.points, cost) for name, (_, cost) in COSTS.items()}
    listed = "; ".join(
        f"against {name}: " + ", ".join(f"{point.family} {point.variant}" for point in front)
        for name, front in fronts.items()
        if front
    )
    return (f"Pareto fronts of accuracy {listed}",) if listed else ()


def pareto(points: tuple[Point, ...], cost: Cost) -> tuple[Point, ...]:
    """Return the points that no other beats in accuracy and `cost` at once, one of twins."""
    found = front(points, lambda point: point.accuracy, cost)
    return tuple({(point.accuracy, cost(point)): point for point in reversed(found)}.values())[::-1]


def widest(evidence: Evidence) -> Difference | None:
    """Return the difference that could see the least."""
    return max(evidence.differences, key=lambda item: item.smallest, default=None)


def _accurate(evidence: Evidence) -> Part:
    statement = "The small LSTM is accurate enough."
    rule = (
        f"worse than the Transformer by less than {evidence.margin:g} {evidence.unit} at the lower "
        "end of the interval; refuted where worse by more at its upper end"
    )
    difference = widest(evidence)
    if difference is None:
        return Part(statement, rule, "not measured", "fewer than two recordings were scored")
    word: Word = "inconclusive"
    if difference.low > -evidence.margin:
        word = "supported"
    elif difference.high < -evidence.margin:
        word = "refuted"
    measured = "; ".join(
        f"{item.mean:+.1f} {evidence.unit} [{item.low:+.1f}, {item.high:+.1f}] over "
        f"{item.clusters} {item.unit}"
        for item in evidence.differences
    )
    if word == "inconclusive":
        measured += f"; the smallest difference that could be seen: {difference.smallest:.1f}"
    return Part(statement, rule, word, measured)


def _cheaper(evidence: Evidence, name: str) -> Part:
    unit, cost = COSTS[name]
    statement = f"It is cheaper in {name}."
    rule = f"at most {CHEAPER} of the Transformer's in fp32 and in int8; refuted vice versa in both"
    found = {
        precision: (lstm, transformer)
        for precision in ("fp32", "int8")
        if (lstm := _least(evidence, "lstm", precision, cost)) is not None
        and (transformer := _least(evidence, "transformer", precision, cost)) is not None
    }
    if not found:
        return Part(statement, rule, "not measured", "not measured")
    words = {_compare(*pair) for pair in found.values()}
    word = words.pop() if len(found) == 2 and len(words) == 1 else "inconclusive"
    measured = "; ".join(
        f"{precision} {lstm:.3g} against {transformer:.3g} {unit}"
        for precision, (lstm, transformer) in found.items()
    )
    return Part(statement, rule, word, measured)


def _least(evidence: Evidence, family: str, precision: str, cost: Cost) -> float | None:
    costs = (
        cost(point)
        for point in evidence.points
        if point.family == family and point.precision == precision
    )
    return min((value for value in costs if value is not None), default=None)


def _compare(lstm: float, transformer: float) -> Word:
    if lstm <= CHEAPER * transformer:
        return "supported"
    return "refuted" if transformer <= CHEAPER * lstm else "inconclusive"


def _sentence(evidence: Evidence, parts: tuple[Part, ...]) -> str:
    names = list(COSTS)
    cheaper = [
        name for name, part in zip(names, parts[1:], strict=True) if part.word == "supported"
    ]
    dearer = [name for name, part in zip(names, parts[1:], strict=True) if part.word == "refuted"]
    pieces = []
    if cheaper:
        pieces.append(f"The LSTM is cheaper in {_listed(cheaper)}")
    if dearer:
        pieces.append(f"the Transformer is cheaper in {_listed(dearer)}")
    pieces.append(_accuracy_sentence(evidence, parts[0]))
    text = "; ".join(pieces)
    return text[0].upper() + text[1:] + "."


def _accuracy_sentence(evidence: Evidence, part: Part) -> str:
    difference = widest(evidence)
    if difference is None:
        return "accuracy was not compared"
    if part.word == "supported":
        return f"the LSTM is not worse by {evidence.margin:g} {evidence.unit} or more"
    if part.word == "refuted":
        return f"the LSTM is worse by more than {evidence.margin:g} {evidence.unit}"
    seen = " and ".join(
        f"{item.smallest:.1f} {evidence.unit} with {item.clusters} {item.unit}"
        for item in evidence.differences
    )
    return f"accuracy cannot tell them apart (smallest difference that could be seen: {seen})"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _numbers(evidence: Evidence) -> dict[str, float]:
    numbers = {"margin": evidence.margin}
    for item in evidence.differences:
        numbers[f"difference_by_{item.unit}"] = round(item.mean, 4)
        numbers[f"smallest_by_{item.unit}"] = round(item.smallest, 4)
    return numbers


TASK = "har"
SIZES = (5_000, 20_000, 80_000)
FAMILIES = ("lstm", "gru", "transformer", "hybrid")
JUDGED = ("lstm", "transformer")
RATE_HZ, ROUNDS, PACED_S = 50.0, 30, 12.0


def sizes(plan: Plan) -> tuple[int, ...]:
    """Return the sizes that the budget has."""
    return SIZES if plan.scale.tuned else (plan.scale.params,)


def families(plan: Plan) -> tuple[str, ...]:
    """Return the families that the budget has."""
    return FAMILIES if plan.scale.tuned else JUDGED


def cost(plan: Plan, family: str, size: int) -> Cell:
    """Return the measurement of what a step costs a device."""
    repetitions = plan.scale.repetitions
    return Cell(
        "edge",
        {
            "task": TASK, "family": family, "params": size, "rate_hz": RATE_HZ,
            "rounds": max(4, round(ROUNDS * repetitions)),
            "paced_s": max(2.0, PACED_S * repetitions),
            "processes": max(2, round(5 * repetitions)),
        },
    )  # fmt: skip


def scores(plan: Plan, family: str, size: int) -> tuple[Cell, ...]:
    """Return the scores of step graphs and their int8 twins."""
    return plan.quantized(plan.trained(TASK, family, size))


def grid(plan: Plan) -> tuple[Cell, ...]:
    """Return scores and costs of every family at every size."""
    return tuple(
        cell
        for size in sizes(plan)
        for family in families(plan)
        for cell in (*scores(plan, family, size), cost(plan, family, size))
    )


def points(plan: Plan, family: str, size: int) -> tuple[Point, ...]:
    """Return what is known of a family at a size, by precision."""
    measured = plan.get(cost(plan, family, size)) or {}
    known = []
    for precision in ("fp32", "int8"):
        values = plan.values(scores(plan, family, size), precision)
        at = measured.get(precision, {})
        paced = measured.get("paced", {}).get(precision)
        if not values or "file_kib" not in at:
            continue
        known.append(
            Point(
                family, f"{size // 1000}k {precision}", precision,
                sum(values.values()) / len(values), at["file_kib"],
                paced["us"][0] if paced else None,
                at.get("peak_above_idle_mib"),
                paced["cpu_s_per_hour"] if paced else None,
            )
        )  # fmt: skip
    return tuple(known)


def evidence(plan: Plan, lstm: int, transformer: int) -> Evidence:
    """Compare an LSTM and a Transformer of these sizes."""
    found = points(plan, "lstm", lstm) + points(plan, "transformer", transformer)
    gain = difference(
        plan.values(scores(plan, "lstm", lstm), "fp32"),
        plan.values(scores(plan, "transformer", transformer), "fp32"),
        POINTS,
    )
    if gain is None:
        return Evidence(found, (), POINTS)
    clusters = gain.folds if gain.folds > 1 else gain.trainings
    unit = "folds" if gain.folds > 1 else "seeds"
    return Evidence(
        found, (Difference(gain.mean, gain.low, gain.high, gain.smallest, clusters, unit),), POINTS
    )


def matched(plan: Plan) -> tuple[int, int] | None:
    """Return the smallest sizes, LSTM and Transformer, that are as accurate as the best of both.

    As accurate: a mean score no worse than the better family's best by the margin. None where a
    family has no such size.
    """
    means = {
        family: {
            size: sum(values.values()) / len(values)
            for size in sizes(plan)
            if (values := plan.values(scores(plan, family, size), "fp32"))
        }
        for family in JUDGED
    }
    if not all(means.values()):
        return None
    target = max(max(found.values()) for found in means.values()) - MARGIN
    enough = [
        min((s for s, v in found.items() if v >= target), default=0) for found in means.values()
    ]
    return (enough[0], enough[1]) if all(enough) else None


def judge_plan(plan: Plan) -> tuple[Part, ...]:
    """Judge at matched parameters, and again at matched accuracy."""
    size = plan.scale.params
    parts = list(judge(evidence(plan, size, size)).parts)
    if not plan.scale.tuned:
        return tuple(parts)
    pair = matched(plan)
    if pair is None:
        why = "no size of one of them is as accurate, or too little was measured"
        statement, rule = "It is cheaper at matched accuracy.", parts[-1].rule
        return (*parts, Part(statement, rule, "not measured", why))
    again = judge(evidence(plan, *pair)).parts[1:]
    said = f"At matched accuracy ({pair[0]:,} against {pair[1]:,} parameters): "
    return (*parts, *(replace(part, statement=said + part.statement) for part in again))


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Show accuracy against each cost, the front marked."""
    known = tuple(
        point
        for family in families(plan)
        for size in sizes(plan)
        for point in points(plan, family, size)
    )
    return tuple(
        Points(
            f"Accuracy against {name}",
            f"{name}, {unit}",
            "window accuracy, %",
            tuple(
                Mark(
                    f"{NAMES[p.family]} {p.variant}", number, p.accuracy or 0.0, p.family,
                    p.precision, p in pareto(known, paid),
                )
                for p in known
                if (number := paid(p)) is not None
            ),
            "Step graphs; those that no other beats are marked. Costs with random weights.",
        )
        for name, (unit, paid) in COSTS.items()
        if known
    )  # fmt: skip


CLAIM = Claim(
    name=NAME,
    sentence=HYPOTHESIS,
    protocol=METHOD + " And again at matched accuracy: the smallest of either that is as accurate.",
    metrics=("window accuracy of the step graphs", "KiB", "µs when paced", "MiB", "CPU-s an hour"),
    rules=tuple(part.rule for part in judge(Evidence((), (), POINTS)).parts),
    grid=grid,
    judge=judge_plan,
    figures=figures,
)
