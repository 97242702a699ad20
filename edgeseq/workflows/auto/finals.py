"""Those that keep every limit, timed in turns, and the choice among them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgeseq.bench.candidate import of_file
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.quantize.search import FP32, Finalist, Selection, select
from edgeseq.recipes import Recipe
from edgeseq.report.auto import Candidate, Timing
from edgeseq.workflows.auto.lab import Lab

PREFERRED = "preferred"


def timed(
    candidates: Sequence[Candidate], recipes: Mapping[str, Recipe], lab: Lab, hot: HotSettings
) -> list[Candidate]:
    """Return the candidates with the time of a step, of those that keep the limits.

    All of them run in turns in one process, fp32 among them; one alone has nobody to beat.
    """
    finalists = [one.name for one in candidates if one.keeps]
    if finalists == [FP32]:
        return list(candidates)
    result = measure_hot(
        [
            of_file(
                name,
                lab.source if name == FP32 else lab.file(recipes[name]),
                lab.evidence.frames,
                provider="cpu",
                settings=lab.settings,
            )
            for name in finalists
        ],
        hot,
    )
    times = {FP32: Timing(result.latencies[FP32].p50_us, 1.0, 1.0, 1.0)}
    for name in finalists[1:]:
        ratio = result.ratio(name, FP32)
        times[name] = Timing(result.latencies[name].p50_us, ratio.ratio, ratio.low, ratio.high)
    return [replace(one, timing=times.get(one.name)) for one in candidates]


def choose(candidates: Sequence[Candidate]) -> Selection:
    """Choose among the candidates that keep the limits."""
    fp32, *others = candidates
    finalists = [
        Finalist(
            one.name, one.finding.bytes, one.noise or 0.0, one.timing.ratio if one.timing else None
        )
        for one in others
        if one.keeps
    ]
    return select(finalists, fp32_bytes=fp32.finding.bytes)


def with_verdicts(candidates: Sequence[Candidate], selection: Selection) -> list[Candidate]:
    """Return the candidates with the words why each was taken or not."""
    reasons = {one.name: "; ".join(one.broken) for one in candidates} | selection.against
    if selection.winner:
        reasons[selection.winner] = PREFERRED
        reasons[FP32] = f"larger and slower than {selection.winner}"
    else:
        reasons[FP32] = PREFERRED
    return [replace(one, verdict=reasons[one.name]) for one in candidates]
