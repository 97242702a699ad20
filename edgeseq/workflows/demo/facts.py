"""What a demo's report says of its task, models and variants, gathered from bundles and tests."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeseq.bench.machine import Machine
from edgeseq.bundle import Bundle, Origin, Variant
from edgeseq.errors import DataError
from edgeseq.report.demo import (
    ModelReport,
    Promise,
    RecordingScore,
    TaskFacts,
    VariantReport,
)
from edgeseq.runtime import StreamModel
from edgeseq.runtime.predict import Predictor
from edgeseq.tasks.base import Predict, Recording, Score, Task
from edgeseq.workflows.accuracy import as_accuracy
from edgeseq.workflows.demo.build import describe, read_run
from edgeseq.workflows.demo.measure import Measurements, fastest, label
from edgeseq.workflows.evidence import frame_by_frame

Scores = tuple[Score, tuple[RecordingScore, ...]]
"""On all recordings together, and on each."""


def score_variant(bundle: Bundle, name: str, task: Task, recordings: Sequence[Recording]) -> Scores:
    """Score a variant as an app runs it: on all `recordings` together, and on each."""
    predict = Predictor(StreamModel.load(bundle.path, variant=name), frame_by_frame)
    scores = [(recording, _score_one(predict, task, recording)) for recording in recordings]
    known = [(recording, score) for recording, score in scores if score is not None]
    alone = tuple(
        RecordingScore(recording.name, recording.subject, score.count, score.value)
        for recording, score in known
    )
    return _together([score for _, score in known]), alone


def _score_one(predict: Predict, task: Task, recording: Recording) -> Score | None:
    try:
        return task.score(predict, [recording])
    except DataError:  # shorter than a window: it counts nowhere
        return None


def _together(scores: Sequence[Score]) -> Score:
    """Return the score on all recordings: windows are cut within recordings, so counts add up."""
    count = sum(score.count for score in scores)
    return dataclasses.replace(
        scores[0],
        value=sum(score.count * score.value for score in scores) / count,
        count=count,
        per_subject={},
        confusion=tuple(
            tuple(map(sum, zip(*rows, strict=True)))
            for rows in zip(*(score.confusion for score in scores), strict=True)
        ),
    )


def check_promises(bundle: Bundle) -> tuple[Promise, ...]:
    """Check a bundle; return what was promised, and whether it holds."""
    from edgeseq.check import check_bundle

    report = check_bundle(bundle)
    return tuple(
        Promise(name, finding.promise, finding.status, finding.sentence)
        for name, findings in report.variants.items()
        for finding in findings
    )


def task_facts(
    task: Task, test: Sequence[Recording], fold: int, seed: int, origin: Origin
) -> TaskFacts:
    """Say what was learned, and from whom."""
    return TaskFacts(
        name=Path(task.name).stem,
        summary=task.summary,
        source=task.source,
        labels=task.output.labels,
        sample_rate_hz=task.frame.sample_rate_hz,
        samples_per_frame=task.frame.samples,
        fold=fold,
        folds=task.folds,
        seed=seed,
        test_subjects=tuple(dict.fromkeys(recording.subject for recording in test)),
        baselines=origin.baselines,
    )


def model_report(
    bundle: Bundle,
    run: Path,
    scores: Mapping[str, Scores],
    promises: tuple[Promise, ...],
    measured: Measurements,
) -> ModelReport:
    """Put together what is known of one model."""
    manifest, trained = bundle.manifest, read_run(run)
    return ModelReport(
        family=manifest.origin.family,
        description=describe(bundle, trained),
        parameters=manifest.origin.parameters,
        train_seconds=float(trained["seconds"]),
        train_steps=int(trained["best_step"]),
        preferred=manifest.preferred,
        preferred_because=manifest.preferred_because,
        fastest=fastest(bundle),
        variants=tuple(
            _measured(
                _variant_report(name, variant, scores[name]), manifest.origin.family, measured
            )
            for name, variant in manifest.variants.items()
        ),
        promises=promises,
    )


def _variant_report(name: str, variant: Variant, scores: Scores) -> VariantReport:
    score, recordings = scores
    return VariantReport(
        name=name,
        precision=variant.precision,
        file_kib=round(variant.bytes / 1024, 3),
        state_kib=round(variant.contract.state_bytes / 1024, 3),
        opset=variant.opset,
        min_onnxruntime=variant.contract.min_onnxruntime,
        accuracy=as_accuracy(score),
        recordings=recordings,
        confusion=score.confusion,
        parity=variant.parity,
        tolerance=variant.tolerance.relative_error,
    )


def _measured(variant: VariantReport, family: str, measured: Measurements) -> VariantReport:
    name = family, variant.name
    cold, memory = measured.fresh.get(name, (None, None))
    return dataclasses.replace(
        variant,
        hot=measured.hot.latencies.get(label(name)),
        paced=measured.paced.get(name),
        memory=memory,
        cold=cold,
    )


def not_measured(machine: Machine, folds: int) -> dict[str, str]:
    """List what the report says nothing about, with the reason."""
    cuda = (
        "the demo runs on the CPU; try edgeseq bench BUNDLE --provider cuda"
        if "CUDAExecutionProvider" in machine.providers
        else "this ONNX Runtime has no CUDA provider"
    )
    return {
        "CUDA": cuda,
        "Growing cache": "no exported form keeps all keys and values",
        "Energy": "no meter; CPU seconds are the nearest",
        "Other people, seeds and sizes": f"one of {folds} folds, one seed, one size",
    }
