"""From a demo's measurements to the evidence that claims are judged by."""

from collections.abc import Mapping, Sequence

from edgeseq.claims import edge, latency
from edgeseq.claims.intervals import Difference, Pair, by_recording, by_subject
from edgeseq.claims.verdict import Verdict
from edgeseq.report.demo import ModelReport, RecordingScore, VariantReport
from edgeseq.workflows.demo.measure import Measurements, label
from edgeseq.workflows.quantize import fp32_name


def judge_claims(models: Sequence[ModelReport], measured: Measurements) -> tuple[Verdict, ...]:
    """Return the verdicts on `latency` and `edge`; they need an LSTM and a Transformer."""
    by_family = {model.family: model for model in models}
    if not {"lstm", "transformer"} <= by_family.keys():
        return ()
    lstm, transformer = by_family["lstm"], by_family["transformer"]
    return (
        latency.judge(latency_evidence(lstm, transformer, measured)),
        edge.judge(edge_evidence(lstm, transformer)),
    )


def latency_evidence(
    lstm: ModelReport, transformer: ModelReport, measured: Measurements
) -> latency.Evidence:
    """Gather what decides `latency`; parity is that of the fp32 graph the int8 one comes from."""
    first, second = lstm.variant(lstm.fastest), transformer.variant(transformer.fastest)
    curves = {curve.name: curve for curve in measured.positions}
    names = label(("lstm", first.name)), label(("transformer", second.name))
    ratios = {(ratio.reference, ratio.candidate): ratio for ratio in measured.hot.ratios}
    exact = transformer.variant(fp32_name(second.name))
    return latency.Evidence(
        lstm=first.name,
        transformer=second.name,
        period_us=1e6 / measured.paced_harness.rate_hz,
        hot=ratios.get(names),
        lstm_paced=first.paced.step if first.paced else None,
        transformer_paced=second.paced.step if second.paced else None,
        ring=curves.get("ring step"),
        recompute=curves.get("recompute"),
        parity=exact.parity,
        tolerance=exact.tolerance or 0.0,
    )


def edge_evidence(lstm: ModelReport, transformer: ModelReport) -> edge.Evidence:
    """Gather what decides `edge`: what every variant gives and costs, and how sure that is."""
    accuracy = lstm.shipped.accuracy
    sign = 1.0 if accuracy is None or accuracy.higher_is_better else -1.0
    points = tuple(
        _point(model.family, variant, sign)
        for model in (lstm, transformer)
        for variant in model.variants
    )
    in_percent = accuracy is not None and accuracy.metric.endswith("%")
    unit = "points" if in_percent or accuracy is None else accuracy.metric.partition(" ")[2]
    margin = edge.MARGIN
    if accuracy is not None and not in_percent:
        margin = edge.MARGIN / 100 * abs(accuracy.value)
    differences = _differences(lstm.shipped, transformer.shipped, sign)
    return edge.Evidence(points, differences, unit, round(margin, 4))


def _point(family: str, variant: VariantReport, sign: float) -> edge.Point:
    return edge.Point(
        family=family,
        variant=variant.name,
        precision=variant.precision,
        accuracy=sign * variant.accuracy.value if variant.accuracy else None,
        size_kib=variant.file_kib,
        paced_us=variant.paced.step.p50_us if variant.paced else None,
        memory_mib=variant.memory.attributable_rss_mib if variant.memory else None,
        cpu_s_per_hour=variant.paced.cpu_seconds_per_hour if variant.paced else None,
    )


def _differences(
    first: VariantReport, second: VariantReport, sign: float
) -> tuple[Difference, ...]:
    others: Mapping[str, RecordingScore] = {score.name: score for score in second.recordings}
    pairs = [
        Pair(score.subject, score.count, sign * score.value, sign * others[score.name].value)
        for score in first.recordings
        if score.name in others
    ]
    found = (by_recording(pairs), by_subject(pairs))
    return tuple(difference for difference in found if difference is not None)
