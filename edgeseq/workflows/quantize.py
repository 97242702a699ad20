"""A bundle gains quantized variants, each judged against the fp32 one it came from."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeseq import files
from edgeseq.bench.candidate import of_file
from edgeseq.bench.latency import HotSettings, measure_hot
from edgeseq.bench.machine import this_machine
from edgeseq.bundle import Bundle, Manifest, Variant, load_bundle, write_manifest
from edgeseq.errors import BundleError
from edgeseq.extras import require
from edgeseq.graph.weights import operators
from edgeseq.measured import Latency
from edgeseq.quantize.file import quantize_file
from edgeseq.quantize.half import halve_file
from edgeseq.quantize.mix import quantization
from edgeseq.quantize.prefer import Choice, prefer
from edgeseq.recipes import PRECISIONS, Precision, Recipe, load_quantization
from edgeseq.runtime import StreamModel
from edgeseq.runtime.predict import is_stepped
from edgeseq.tasks.base import Array, Task
from edgeseq.workflows.calibration import Drawn, draw
from edgeseq.workflows.evidence import Evidence, Original, gather
from edgeseq.workflows.producer import producer

HOT = HotSettings(rounds=20)

Progress = Callable[[str], None]
Choose = Callable[[Mapping[str, Variant]], Choice]
"""fp32 variants and their new twins, judged → which variant of the bundle to ship."""


def quantize_bundle(
    path: Path | str,
    recipe: str | Path = "int8-dynamic",
    *,
    max_drop: float | None = None,
    task: Task | str | None = None,
    accuracy: bool = True,
    hot: HotSettings = HOT,
    progress: Progress | None = None,
) -> Bundle:
    """Add a quantized twin to every fp32 variant of the bundle, and choose what to ship.

    Size, speed on this machine, drift and accuracy on the task are recorded in the manifest. A
    twin that is no better is a result, not a failure. Twins of another precision stay, and so
    does one that is preferred: it was better than fp32 already. The bundle is replaced as a
    whole at the end; until then, and whenever this fails, the old one is there.

    Args:
        path: the bundle.
        recipe: a shipped recipe with a `[quantize]`, or the path of one.
        max_drop: largest loss of the task's metric at which a twin is preferred; none: the
            recipe's.
        task: what to judge on; none: what the model was trained on, if its data is here.
        accuracy: measure accuracy; without it, no twin is preferred.
        hot: how long to measure latency.
        progress: is told what begins.

    Raises:
        PromiseError: most weights would still run in fp32, or one is too large for fp16.
        BundleError: the bundle cannot be trusted.
        UsageError: no such recipe, or a task with other frames.
    """
    bundle = load_bundle(path)
    loaded, how = load_quantization(recipe)
    if all(variant.precision != "fp32" for variant in bundle.manifest.variants.values()):
        raise BundleError(f"{path} has no fp32 variant to quantize. Export it again")
    say = progress or (lambda _: None)
    evidence = gather(bundle, loaded.gate_steps, task=task, accuracy=accuracy)
    drop = how.max_drop if max_drop is None else max_drop

    def choose(variants: Mapping[str, Variant]) -> Choice:
        return _choose(bundle.manifest, variants, how.precision, drop, evidence.missing)

    return add_twins(bundle, loaded, evidence, choose, task=task, hot=hot, say=say)


def add_twins(
    bundle: Bundle,
    recipe: Recipe,
    evidence: Evidence,
    choose: Choose,
    *,
    task: Task | str | None = None,
    hot: HotSettings = HOT,
    say: Progress,
) -> Bundle:
    """Add a twin to every fp32 variant, judged on `evidence`; `choose` says which to ship.

    What has to be calibrated is, on the training recordings of `task`.
    """
    how = quantization(recipe)
    drawn = draw(bundle, how.calibration, task=task) if how.calibrated else None
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        variants, models = _quantized(bundle, recipe, how.precision, drawn, scratch, evidence, say)
        say("latency of all variants in turns")
        variants = _timed(variants, models, how.precision, evidence.frames, hot)
        others = {n: v for n, v in bundle.manifest.variants.items() if n not in variants}
        manifest = replace(bundle.manifest, variants=variants | others)
        _swap(bundle, scratch, prefer_in(manifest, choose(variants)))
    return load_bundle(bundle.path)


def set_preferred(bundle: Bundle, choice: Choice) -> Bundle:
    """Write into the manifest which of its variants to ship."""
    write_manifest(bundle.path, prefer_in(bundle.manifest, choice))
    return load_bundle(bundle.path)


def prefer_in(manifest: Manifest, choice: Choice) -> Manifest:
    """Return the manifest with a choice in it."""
    return replace(manifest, preferred=choice.preferred, preferred_because=choice.because)


def twin_name(fp32: str, precision: str) -> str:
    """Return what a variant's twin is called: `fp32` → `int8`, `step` → `step-int8`."""
    return precision if fp32 == "fp32" else f"{fp32}-{precision}"


def fp32_name(variant: str) -> str:
    """Return the fp32 variant that `variant` comes from, or is."""
    for precision in PRECISIONS:
        variant = variant.removesuffix(precision).removesuffix("-")
    return variant or "fp32"


def _quantized(
    bundle: Bundle,
    recipe: Recipe,
    precision: Precision,
    drawn: Drawn | None,
    scratch: Path,
    evidence: Evidence,
    say: Progress,
) -> tuple[dict[str, Variant], dict[str, StreamModel]]:
    """Return the fp32 variants and their new twins, judged, and all of them loaded."""
    variants: dict[str, Variant] = {}
    models: dict[str, StreamModel] = {}
    for name, fp32 in bundle.manifest.variants.items():
        if fp32.precision != "fp32":
            continue
        twin = twin_name(name, precision)
        say(f"{name} → {twin}")
        file = scratch / f"model.{twin}.onnx"
        made = _variant(bundle.file(name), file, fp32, recipe, precision, drawn)
        models[name] = StreamModel.load(bundle.file(name), settings=fp32.session)
        models[twin] = StreamModel.load(file, settings=fp32.session)
        say(f"{twin}: {len(evidence.frames):,} frames against {name}, accuracy of both")
        original = Original(models[name], evidence)
        judged = original.judge(models[twin])
        variants[name] = replace(fp32, accuracy=original.accuracy or fp32.accuracy)
        variants[twin] = replace(
            made,
            contract=models[twin].contract,
            parity=judged.parity,
            accuracy=judged.accuracy,
            paired=judged.paired,
        )
    return variants, models


def _variant(
    source: Path,
    file: Path,
    fp32: Variant,
    recipe: Recipe,
    precision: Precision,
    drawn: Drawn | None,
) -> Variant:
    """Quantize `source` to `file`; return what can be said of it without running it."""
    census = None
    if precision == "fp16":
        halve_file(source, file, recipe, producer=producer())
    else:
        streams = drawn.streams if drawn else ()
        census = quantize_file(source, file, recipe, producer=producer(), streams=streams)
    return replace(
        fp32,
        file=file.name,
        sha256=files.sha256(file),
        bytes=file.stat().st_size,
        precision=precision,
        operators=operators(require("onnx").load(file)),
        tolerance=recipe.tolerance,
        census=census,
        calibration=drawn.calibrated if drawn else None,
    )


def _timed(
    variants: dict[str, Variant],
    models: Mapping[str, StreamModel],
    precision: Precision,
    frames: Array,
    hot: HotSettings,
) -> dict[str, Variant]:
    """Return the variants with their latency beside their fp32 twin's, where they can be stepped.

    All run in turns in one process: two separate runs would compare two states of the machine.
    """
    candidates = [
        of_file(name, Path(model.source), frames, provider="cpu", settings=model.settings)
        for name, model in models.items()
        if is_stepped(model.contract)
    ]
    if not candidates:
        return variants
    result = measure_hot(candidates, hot)
    machine = this_machine()
    median = {name: latency.p50_us for name, latency in result.latencies.items()}
    twins = {twin_name(name, precision): name for name in variants}
    return {
        name: replace(
            variant,
            latency=Latency(
                median_us=median[name],
                fp32_median_us=median[twins.get(name, name)],
                machine=machine.cpu,
                onnxruntime=machine.onnxruntime or "",
            ),
        )
        for name, variant in variants.items()
    }


def _choose(
    manifest: Manifest,
    variants: Mapping[str, Variant],
    precision: Precision,
    max_drop: float,
    missing: str,
) -> Choice:
    """Judge the twin of what is preferred in fp32: the form of the graph is not at stake."""
    if manifest.preferred not in variants:  # a twin of another precision, better than fp32
        return Choice(manifest.preferred, manifest.preferred_because)
    forms = {twin_name(name, precision): name for name in variants}
    fp32 = forms.get(manifest.preferred, manifest.preferred)
    twin = twin_name(fp32, precision)
    return prefer(
        (fp32, variants[fp32]),
        (twin, variants[twin]),
        max_drop=max_drop,
        no_accuracy=missing,
    )


def _swap(bundle: Bundle, scratch: Path, manifest: Manifest) -> None:
    """Put a copy of the bundle with the new files and the new manifest in its place."""
    with files.staged_directory(bundle.path) as staging:
        shutil.copytree(bundle.path, staging, dirs_exist_ok=True)
        for variant in manifest.variants.values():
            if (scratch / variant.file).exists():
                shutil.copyfile(scratch / variant.file, staging / variant.file)
        write_manifest(staging, manifest)
