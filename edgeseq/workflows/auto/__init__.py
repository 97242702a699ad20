"""The best quantization of a bundle for this machine, chosen on validation, confirmed on test."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from edgeseq import files
from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.errors import BundleError, DataError
from edgeseq.quantize.search import FP32
from edgeseq.recipes import Recipe
from edgeseq.report.auto import SCHEMA, AutoResult, Candidate, Finding, Part
from edgeseq.report.html.auto import render
from edgeseq.specs import to_toml
from edgeseq.tasks.base import Task
from edgeseq.workflows.auto.ending import conclude
from edgeseq.workflows.auto.finals import choose, timed, with_verdicts
from edgeseq.workflows.auto.kept import Kept
from edgeseq.workflows.auto.lab import Lab
from edgeseq.workflows.auto.limits import Limits
from edgeseq.workflows.auto.settings import AutoSettings
from edgeseq.workflows.auto.trials import Progress, Trials, recipes_for_cpu
from edgeseq.workflows.calibration import draw
from edgeseq.workflows.evidence import Evidence, gather
from edgeseq.workflows.producer import producer
from edgeseq.workflows.quantize import fp32_name

__all__ = ["AutoSettings", "quantize_auto", "work_folder"]

REPORT, RESULT = "report.html", "result.json"


def quantize_auto(
    path: Path | str,
    settings: AutoSettings | None = None,
    *,
    task: Task | str | None = None,
    report: Path | None = None,
    progress: Progress | None = None,
) -> AutoResult:
    """Find the best quantization of the bundle for this machine, and add it to the bundle.

    What is tried is judged on the validation recordings of the bundle's fold; what is chosen, and
    fp32, once on its test recordings. Findings are kept in `BUNDLE.auto`, so that the same call
    goes on where it was interrupted. The winner becomes the twin of every fp32 variant, and is
    preferred; where none is better than fp32, that is, with the reason.

    Args:
        path: the bundle.
        settings: limits, seed, and how long to measure.
        task: what to judge on; none: what the model was trained on.
        report: where the page goes; none: `BUNDLE.auto/report.html`. Beside it lie the result and,
            where the winner is none of the shipped recipes, the winner as a recipe.
        progress: is told what begins.

    Raises:
        DataError: the task's data is not here, so there is nothing to choose by.
        BundleError: the bundle cannot be trusted, or has no fp32 variant.
    """
    bundle, settings, say = load_bundle(path), settings or AutoSettings(), progress or _silent
    variant = _judged_variant(bundle)
    validation, test = (_evidence(bundle, settings, task, side) for side in ("validation", "test"))
    folder = work_folder(bundle.path)
    with TemporaryDirectory() as scratch:
        lab = Lab(
            source=bundle.file(variant),
            settings=bundle.variant(variant).session,
            evidence=validation,
            draw=lambda how: draw(bundle, how, task=task).streams,
            kept=Kept(folder, Finding),
            scratch=Path(scratch),
        )
        trials = Trials(lab, Limits(settings.max_drop), say)
        trials.run(recipes_for_cpu(cpu_dependent=settings.cpu_dependent))
        say("latency of all that keep the limits, in turns")
        hot = replace(settings.hot, seed=settings.seed)
        candidates = timed(trials.candidates, trials.recipes, lab, hot)
        selection = choose(candidates)
        recipe = trials.recipes[selection.winner] if selection.winner else None
        candidates = with_verdicts(candidates, selection)
        tested = replace(lab, evidence=test, by_frame=False)
        ending = conclude(bundle, variant, candidates, recipe, tested, settings, task, say)
    page = report or folder / REPORT
    result = AutoResult(
        schema=SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeseq=producer(),
        bundle=bundle.path.absolute().name,
        origin=bundle.manifest.origin,
        variant=variant,
        machine=this_machine(),
        seed=settings.seed,
        steps=len(validation.frames),
        max_drop=settings.max_drop,
        cpu_dependent=settings.cpu_dependent,
        validation=_part(validation),
        test=_part(test),
        ladder=trials.ladder,
        sensitivities=tuple(trials.sensitivities),
        candidates=tuple(candidates),
        chosen=ending.chosen,
        because=ending.because,
        confirmed=ending.confirmed,
        broken=ending.broken,
        recipe=_keep_recipe(page.parent, candidates, recipe),
    )
    result.save(page.with_name(RESULT) if report is None else page.with_suffix(".json"))
    files.write_text(page, render(result))
    return result


def work_folder(bundle: Path) -> Path:
    """Return where findings about a bundle are kept: beside it, for it is replaced as a whole."""
    return bundle.absolute().with_name(f"{bundle.absolute().name}.auto")


def _silent(_: str) -> None:
    """Say nothing."""


def _judged_variant(bundle: Bundle) -> str:
    """Return the fp32 variant that what is shipped comes from, else the first in fp32."""
    fp32 = [name for name, one in bundle.manifest.variants.items() if one.precision == FP32]
    if not fp32:
        raise BundleError(f"{bundle.path} has no fp32 variant to quantize. Export it again")
    wanted = fp32_name(bundle.manifest.preferred)
    return wanted if wanted in fp32 else fp32[0]


def _evidence(
    bundle: Bundle,
    settings: AutoSettings,
    task: Task | str | None,
    side: Literal["validation", "test"],
) -> Evidence:
    evidence = gather(bundle, settings.steps, task=task, side=side, seed=settings.seed)
    if evidence.missing:
        raise DataError(
            f"--auto chooses by the task's validation recordings, which are not here: "
            f"{evidence.missing}. Get them, or name one recipe: edgeseq quantize "
            f"{bundle.path} --recipe int8-dynamic"
        )
    return evidence


def _part(evidence: Evidence) -> Part:
    recordings = evidence.recordings
    return Part(
        recordings=len(recordings),
        subjects=tuple(dict.fromkeys(item.subject for item in recordings)),
        frames=sum(len(item.frames) for item in recordings),
    )


def _keep_recipe(folder: Path, candidates: list[Candidate], recipe: Recipe | None) -> str:
    """Write a winner that the walk has found as a recipe; return its path, or nothing."""
    found = [one.name for one in candidates if one.made_by == "walk"]
    if recipe is None or recipe.name not in found:
        return ""
    file = folder / f"{recipe.name}.toml"
    files.write_text(file, to_toml(recipe))
    return str(file)
