"""The end of a search: one score on the test recordings, the winner's twins, and the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeseq.bundle import Bundle
from edgeseq.quantize.mix import quantization
from edgeseq.quantize.prefer import Choice
from edgeseq.quantize.search import FP32
from edgeseq.recipes import Recipe
from edgeseq.report.auto import Candidate, Confirmed, Finding
from edgeseq.tasks.base import Task
from edgeseq.workflows.auto.lab import Lab
from edgeseq.workflows.auto.limits import Limits
from edgeseq.workflows.auto.settings import AutoSettings
from edgeseq.workflows.auto.trials import Progress
from edgeseq.workflows.quantize import add_twins, set_preferred, twin_name

FEW = 3
"""Candidates whose reasons the manifest gives; the report has them all."""


@dataclass(frozen=True)
class Conclusion:
    """What became of the bundle."""

    chosen: str
    """Name of a candidate."""
    because: str
    confirmed: tuple[Confirmed, ...]
    broken: tuple[str, ...] = ()
    """Limits that the winner broke on the test recordings; fp32 is then shipped."""


def conclude(
    bundle: Bundle,
    variant: str,
    candidates: Sequence[Candidate],
    recipe: Recipe | None,
    lab: Lab,
    settings: AutoSettings,
    task: Task | str | None,
    say: Progress,
) -> Conclusion:
    """Score the winner and fp32 on the test recordings, and write into the bundle what to ship.

    The test recordings choose nothing, but they may forbid: a winner that is not seen to keep the
    limits there, too, is not preferred, just as no other twin would be.

    Args:
        bundle: gains the winner as a twin of every fp32 variant.
        variant: the fp32 variant that the candidates were made from.
        candidates: with their verdicts, fp32 first.
        recipe: the winner; none: fp32 is not beaten.
        lab: with the test recordings.
        settings: of the search.
        task: whose training recordings to calibrate on.
        say: is told what begins.
    """
    say("fp32 and the winner on the test recordings" if recipe else "fp32 on the test recordings")
    confirmed = [Confirmed(FP32, lab.reference())]
    if recipe is None:
        because = stayed(candidates)
        set_preferred(bundle, Choice(variant, because))
        return Conclusion(FP32, because, tuple(confirmed))
    found = lab.judge(recipe)
    confirmed.append(Confirmed(recipe.name, found))
    limits = Limits(settings.max_drop)
    if doubts := limits.broken(recipe, found):
        because = f"{recipe.name}, chosen on validation, is {'; '.join(doubts)} on test"
        choice = Choice(variant, because)
    else:
        winner = next(one for one in candidates if one.name == recipe.name)
        because = won(winner, candidates[0], found, len(candidates) - 1)
        choice = Choice(twin_name(variant, quantization(recipe).precision), because)
    add_twins(bundle, recipe, lab.evidence, lambda _: choice, task=task, hot=settings.hot, say=say)
    chosen, broken = FP32 if doubts else recipe.name, limits.refuted(recipe, found)
    return Conclusion(chosen, because, tuple(confirmed), broken)


def won(winner: Candidate, fp32: Candidate, tested: Finding, tried: int) -> str:
    """Return why the winner is shipped: what it saves, what it loses, and where."""
    ratio = f"{winner.timing.ratio:.2f}" if winner.timing else "?"
    lost = [
        f"{paired.drop:.2f} {paired.unit} on {side}, 95 % {paired.low:.2f} to {paired.high:.2f}"
        for side, paired in (("validation", winner.finding.paired), ("test", tested.paired))
        if paired
    ]
    return (
        f"{winner.name} is smaller ({winner.finding.bytes / 1000:.0f} kB against "
        f"{fp32.finding.bytes / 1000:.0f} kB), faster here ({ratio} times fp32's time) and as "
        f"accurate (drop {'; '.join(lost)}), the best of {tried} that were tried"
    )


def stayed(candidates: Sequence[Candidate]) -> str:
    """Return why fp32 stays: what was against the candidates that came closest."""
    others = sorted(candidates[1:], key=lambda one: (not one.keeps, one.finding.bytes))
    if not others:
        return "no recipe quantizes it for a CPU"
    said = [f"{one.name} is {one.verdict}" for one in others[:FEW]]
    more = f"; and {len(others) - FEW} more" if len(others) > FEW else ""
    return f"none of {len(others)} that were tried is better here: {'; '.join(said)}{more}"
