"""Which scheme for which weight, and which of the candidates to ship: rules without a file.

One weight quantized alone puts noise on the outputs. The noises of several weights are nearly
independent, so their powers add: what a wider scheme is worth is the noise power that it takes
away, what it costs is the bytes that it adds. The walk starts with the narrowest scheme for all
weights and, while the limits break, gives the next quieter scheme to the weight that is worth most
for a byte. It ends at the first assignment that keeps the limits; fp32 for all weights does.

Weights one at a time, the worst back to floats until the loss is small enough: Wu et al., 2020
(arXiv:2004.09602). Noise at the network's output as their order, greedily: Pandey et al., 2023
(arXiv:2302.05397). Sensitivity for its size, not by itself: HAWQ, Dong et al., 2019
(arXiv:1905.03696), there with the Hessian.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from edgeseq.quantize.prefer import FASTER
from edgeseq.recipes import Scheme

Assignment = Mapping[str, Scheme]
"""The scheme of every weight, by the weight's name."""

FP32: Final = "fp32"


class Judged(Protocol):
    """What the walk needs to know of an assignment that was tried."""

    @property
    def keeps(self) -> bool:
        """Whether it keeps every limit."""


Verdict = TypeVar("Verdict", bound=Judged)


@dataclass(frozen=True)
class Landscape:
    """What is known of the weights before any two of them are quantized together."""

    elements: Mapping[str, int]
    """Values of each weight."""
    ladder: Sequence[Scheme]
    """Schemes from the narrowest to fp32."""
    bits: Mapping[Scheme, int]
    """Bits a value takes in each scheme."""
    noise: Mapping[tuple[str, Scheme], float] = field(default_factory=dict)
    """Of a weight quantized alone in a scheme: RMS of the outputs' error over their RMS."""

    def power(self, weight: str, scheme: Scheme) -> float:
        """Return the noise power that a weight adds in a scheme; none in fp32."""
        return 0.0 if scheme == FP32 else self.noise[weight, scheme] ** 2

    def next_quieter(self, weight: str, scheme: Scheme) -> Scheme | None:
        """Return the narrowest wider scheme in which a weight adds less noise."""
        wider = self.ladder[self.ladder.index(scheme) + 1 :]
        now = self.power(weight, scheme)
        return next((other for other in wider if self.power(weight, other) < now), None)

    def worth(self, weight: str, scheme: Scheme, wider: Scheme) -> float:
        """Return the noise power that a wider scheme takes away, for each byte that it adds."""
        added = self.elements[weight] * (self.bits[wider] - self.bits[scheme]) / 8
        return (self.power(weight, scheme) - self.power(weight, wider)) / added


def uniform(weights: Sequence[str], scheme: Scheme) -> dict[str, Scheme]:
    """Return one scheme for all weights."""
    return dict.fromkeys(weights, scheme)


def one_at_a_time(
    weights: Sequence[str], schemes: Sequence[Scheme]
) -> Iterator[tuple[str, Scheme]]:
    """Yield what sensitivities are measured of: each weight alone in each scheme but fp32."""
    for weight in weights:
        for scheme in schemes:
            if scheme != FP32:
                yield weight, scheme


def alone(weights: Sequence[str], weight: str, scheme: Scheme) -> dict[str, Scheme]:
    """Return the assignment that quantizes one weight and leaves all others in fp32."""
    return uniform(weights, FP32) | {weight: scheme}


def choose_ladder(bits: Mapping[Scheme, int], noise: Mapping[Scheme, float]) -> tuple[Scheme, ...]:
    """Return the schemes that the walk climbs, narrowest first: of each width the least noisy.

    Args:
        bits: bits a value takes, by scheme; fp32 need not be among them.
        noise: of all weights in one scheme together; a scheme without is left out.
    """
    quietest: dict[int, Scheme] = {}
    for scheme in sorted(noise, key=lambda scheme: (noise[scheme], scheme)):
        quietest.setdefault(bits[scheme], scheme)
    return (*(quietest[width] for width in sorted(quietest)), FP32)


def walk(landscape: Landscape) -> Iterator[dict[str, Scheme]]:
    """Yield assignments from the narrowest scheme for all weights, one weight widened at a time.

    The last one that is yielded still quantizes something. Ties go to the weight named first.
    """
    assignment = uniform(list(landscape.elements), landscape.ladder[0])
    while set(assignment.values()) != {FP32}:
        yield dict(assignment)
        steps = [
            (landscape.worth(weight, scheme, wider), weight, wider)
            for weight, scheme in assignment.items()
            if (wider := landscape.next_quieter(weight, scheme))
        ]
        if not steps:
            return  # what is left costs nothing: wider schemes could only add bytes
        _, weight, wider = max(steps, key=lambda step: step[0])
        assignment[weight] = wider


def climb(
    landscape: Landscape, judge: Callable[[Assignment], Verdict]
) -> list[tuple[dict[str, Scheme], Verdict]]:
    """Judge the assignments of the walk up to the first that keeps the limits; return all judged.

    The last one keeps the limits, or nothing does but fp32.
    """
    judged = []
    for assignment in walk(landscape):
        verdict = judge(assignment)
        judged.append((assignment, verdict))
        if verdict.keeps:
            break
    return judged


@dataclass(frozen=True)
class Finalist:
    """A candidate that keeps the limits, on its way to the choice."""

    name: str
    bytes: int
    noise: float
    """RMS of the outputs' error over their RMS."""
    ratio: float | None
    """Median time of a step over fp32's, both in turns; none: it is not stepped."""


@dataclass(frozen=True)
class Selection:
    """Who wins, and why the others do not."""

    winner: str | None
    """None: fp32 is not beaten."""
    against: dict[str, str]
    """By name of each finalist but the winner: why not."""


def select(finalists: Sequence[Finalist], *, fp32_bytes: int) -> Selection:
    """Choose what is smaller and faster than fp32; of those as fast as the fastest, the smallest.

    Times are measured, and the next run measures others. So a candidate is faster than fp32 only
    below `FASTER` of its time, and as fast as the fastest unless that takes less than `FASTER` of
    its own. Equal sizes: the less noisy, then the first by name.
    """
    against = {
        finalist.name: reason
        for finalist in finalists
        if (reason := _against_fp32(finalist, fp32_bytes))
    }
    left = {
        finalist.name: finalist.ratio
        for finalist in finalists
        if finalist.name not in against and finalist.ratio is not None
    }
    if not left:
        return Selection(None, against)
    fastest = min(left, key=lambda name: (left[name], name))
    for name, ratio in left.items():
        if left[fastest] < FASTER * ratio:
            against[name] = f"slower than {fastest} ({ratio / left[fastest]:.2f} times)"
    quick = [finalist for finalist in finalists if finalist.name not in against]
    winner = min(quick, key=lambda one: (one.bytes, one.noise, one.name))
    for finalist in quick:
        if finalist is not winner:
            against[finalist.name] = _against_winner(finalist, winner)
    return Selection(winner.name, against)


def _against_fp32(finalist: Finalist, fp32_bytes: int) -> str:
    if finalist.bytes >= fp32_bytes:
        return "not smaller than fp32"
    if finalist.ratio is None:
        return "of unknown speed (it is not stepped one frame a call)"
    if finalist.ratio >= FASTER:
        word = "no faster" if finalist.ratio <= 1 / FASTER else "slower"
        return f"{word} than fp32 ({finalist.ratio:.2f} times its time)"
    return ""


def _against_winner(finalist: Finalist, winner: Finalist) -> str:
    if finalist.bytes > winner.bytes:
        return f"larger than {winner.name}, and no faster"
    more = "noisier than" if finalist.noise > winner.noise else "the same as"
    return f"{more} {winner.name}, and neither smaller nor faster"
