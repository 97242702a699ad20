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
from dataclasses import dataclass

from edgeseq.claims.intervals import Difference
from edgeseq.claims.pareto import front
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
