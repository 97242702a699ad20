"""A search for the best quantization as tables: the same in a terminal and on its page."""

from edgeseq.measured import Paired
from edgeseq.recipes import Scheme
from edgeseq.report.auto import AutoResult, Candidate, Part, Sensitivity, brief
from edgeseq.report.numbers import NOT_MEASURED, percent, short
from edgeseq.report.sheet import Sheet
from edgeseq.report.text import machine_line


def auto_sheets(result: AutoResult) -> list[Sheet]:
    """Return what was tried, what each weight costs, what was chosen, and its test score."""
    return [
        candidates_sheet(result),
        sensitivity_sheet(result),
        confirmed_sheet(result),
        Sheet((), (), (conclusion(result), *notes(result))),
    ]


def candidates_sheet(result: AutoResult) -> Sheet:
    """Return every candidate with what it costs, what it lost, and why it was not taken."""
    columns = (
        "candidate", "KiB>", "noise %>", "decisions changed>", f"lost, {unit(result)}>", "95 %>",
        "step µs *>", "of fp32's *>", "verdict",
    )  # fmt: skip
    rows = tuple(_candidate_row(one) for one in result.candidates)
    mixed = tuple(
        f"{one.name}: {result.ladder[0]}, but {one.beside(result.ladder[0])}."
        for one in result.candidates
        if one.made_by == "walk"
    )
    return Sheet(columns, rows, (*mixed, MEASURED))


MEASURED = (
    "* Times were measured on this machine, of all that keep the limits in turns; the next run "
    "measures others. Everything else comes out the same again."
)


def sensitivity_sheet(result: AutoResult) -> Sheet:
    """Return the noise that each weight adds when it alone is quantized, the costliest first."""
    schemes = list(dict.fromkeys(one.scheme for one in result.sensitivities))
    found = {(one.weight, one.scheme): one for one in result.sensitivities}
    weights = dict.fromkeys(one.weight for one in result.sensitivities)
    order = sorted(weights, key=lambda weight: -_worst(found, weight, schemes))
    columns = ("weight alone", "values>", *(f"noise % {scheme}>" for scheme in schemes))
    rows = tuple(
        (
            weight,
            f"{next(o.elements for o in result.sensitivities if o.weight == weight):,}",
            *(_noise(found[weight, s].noise) or NOT_MEASURED for s in schemes),
        )
        for weight in order
    )
    said = f"Costliest first: noise power for a byte. {result.steps:,} frames, state fed back."
    return Sheet(columns, rows, (said, *_refused(result)) if rows else ())


def _refused(result: AutoResult) -> list[str]:
    """Return why some weights could not be quantized alone, each reason once."""
    weights: dict[tuple[Scheme, str], list[str]] = {}
    for one in result.sensitivities:
        if one.refused:
            weights.setdefault((one.scheme, brief(one.refused)), []).append(one.weight)
    return [
        f"{', '.join(names)} alone in {scheme}: {NOT_MEASURED}; {reason}."
        for (scheme, reason), names in weights.items()
    ]


def confirmed_sheet(result: AutoResult) -> Sheet:
    """Return the test scores of fp32 and of what was chosen."""
    metric = next(
        (one.finding.accuracy.metric for one in result.confirmed if one.finding.accuracy),
        "accuracy",
    )
    columns = ("on the test recordings", f"{metric}>", f"lost, {unit(result)}>", "95 %>")
    rows = tuple(
        (
            one.name,
            f"{one.finding.accuracy.value:.2f}" if one.finding.accuracy else NOT_MEASURED,
            *_lost(one.finding.paired),
        )
        for one in result.confirmed
    )
    return Sheet(columns, rows)


def conclusion(result: AutoResult) -> str:
    """Return what was chosen, and why, in a sentence."""
    return f"Preferred: {result.chosen}, because {result.because}."


def _candidate_row(one: Candidate) -> tuple[str, ...]:
    parity, timing = one.finding.parity, one.timing
    return (
        one.name,
        f"{one.finding.bytes / 1024:.1f}" if one.finding.bytes else "",
        _noise(one.noise),
        percent(parity.changed_decisions) if parity else "",
        *_lost(one.finding.paired),
        f"{timing.p50_us:.1f}" if timing else "",
        f"{timing.ratio:.2f}" if timing else "",
        one.verdict,
    )


def _lost(paired: Paired | None) -> tuple[str, str]:
    if paired is None:
        return "", ""
    return f"{paired.drop:.3f}", f"{paired.low:.3f} to {paired.high:.3f}"


def _noise(noise: float | None) -> str:
    return "" if noise is None else short(100 * noise)


def unit(result: AutoResult) -> str:
    """Return what losses are counted in."""
    found = (one.finding.paired for one in result.candidates)
    return next((paired.unit for paired in found if paired), "points")


def _worst(
    found: dict[tuple[str, Scheme], Sensitivity], weight: str, schemes: list[Scheme]
) -> float:
    powers = [found[weight, s].power_per_kib for s in schemes if (weight, s) in found]
    return max((power for power in powers if power is not None), default=0.0)


def notes(result: AutoResult) -> tuple[str, ...]:
    """Return on what the choice rests, where it was measured, and where its recipe is."""
    parts = [
        f"Chosen on {_part(result.validation)} of the validation side, losses counted by frame; "
        f"the test side ({_part(result.test)}) was scored once, at the end, losses counted by "
        f"window. Limit: {result.max_drop:g} {unit(result)}.",
        f"Times measured on {machine_line(result.machine)}.",
    ]
    if result.recipe:
        parts.append(f"As a recipe: {result.recipe}")
    return tuple(parts)


def _part(part: Part) -> str:
    people = len(part.subjects)
    return (
        f"{part.frames:,} frames, {part.recordings} recording{'s' * (part.recordings != 1)} of "
        f"{people} subject{'s' * (people != 1)}"
    )
