"""The end of a search: the winner's twins, their one score on test, and the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeseq.bundle import Bundle, Variant
from edgeseq.quantize.mix import quantization
from edgeseq.quantize.prefer import Choice
from edgeseq.quantize.search import FP32
from edgeseq.recipes import Recipe
from edgeseq.report.auto import Candidate, Confirmed
from edgeseq.runtime import StreamModel
from edgeseq.workflows.auto.limits import Limits
from edgeseq.workflows.auto.settings import AutoSettings
from edgeseq.workflows.auto.trials import Progress
from edgeseq.workflows.evidence import Evidence, Original
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
    test: Evidence,
    settings: AutoSettings,
    say: Progress,
) -> Conclusion:
    """Write the winner into the bundle, or that fp32 stays, and score it on the test recordings.

    The test recordings choose nothing, but they may forbid: what is seen to break a limit there is
    not shipped.
    """
    if recipe is None:
        return _stay(bundle, variant, candidates, test, say)
    limits, twin = Limits(settings.max_drop), twin_name(variant, quantization(recipe).precision)
    winner = next(one for one in candidates if one.name == recipe.name)

    def choose(variants: Mapping[str, Variant]) -> Choice:
        made = variants[twin]
        broken = limits.refuted(made.paired, made.parity, made.tolerance)
        if broken:
            reason = f"{twin}, chosen on validation, is {'; '.join(broken)} on test"
            return Choice(variant, reason)
        return Choice(twin, won(winner, candidates[0], made, len(candidates) - 1))

    bundle = add_twins(bundle, recipe, test, choose, hot=settings.hot, say=say)
    fp32, made = bundle.variant(variant), bundle.variant(twin)
    broken = limits.refuted(made.paired, made.parity, made.tolerance)
    confirmed = (
        Confirmed(FP32, fp32.accuracy),
        Confirmed(recipe.name, made.accuracy, made.paired, made.parity),
    )
    because = bundle.manifest.preferred_because
    return Conclusion(FP32 if broken else recipe.name, because, confirmed, broken)


def _stay(
    bundle: Bundle,
    variant: str,
    candidates: Sequence[Candidate],
    test: Evidence,
    say: Progress,
) -> Conclusion:
    say("fp32 on the test recordings")
    model = StreamModel.load(bundle.file(variant), settings=bundle.variant(variant).session)
    because = stayed(candidates)
    set_preferred(bundle, Choice(variant, because))
    return Conclusion(FP32, because, (Confirmed(FP32, Original(model, test).accuracy),))


def won(winner: Candidate, fp32: Candidate, made: Variant, tried: int) -> str:
    """Return why the winner is shipped: what it saves, what it loses, and where."""
    ratio = f"{winner.timing.ratio:.2f}" if winner.timing else "?"
    lost = [
        f"{paired.drop:.2f} {paired.unit} on {side}, 95 % {paired.low:.2f} to {paired.high:.2f}"
        for side, paired in (("validation", winner.finding.paired), ("test", made.paired))
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
        return "nothing quantizes it for a CPU"
    said = [f"{one.name} is {one.verdict}" for one in others[:FEW]]
    more = f"; and {len(others) - FEW} more" if len(others) > FEW else ""
    return f"none of {len(others)} that were tried is better here: {'; '.join(said)}{more}"
