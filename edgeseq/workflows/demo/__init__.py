"""All of it on real data, in minutes: train, export, quantize, check, bench, claims, report."""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edgeseq import __version__, files
from edgeseq.bench.candidate import FLOOR
from edgeseq.bench.latency import HotSettings
from edgeseq.bench.machine import this_machine
from edgeseq.bench.pace import PaceSettings
from edgeseq.bench.results import Harness
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.contract import Frame
from edgeseq.report.demo import REPORT, RESULTS, SCHEMA, DemoResult
from edgeseq.report.html import render
from edgeseq.tasks import load_task
from edgeseq.workflows.demo.build import Build, build_models, is_current
from edgeseq.workflows.demo.facts import (
    check_promises,
    model_report,
    not_measured,
    score_variant,
    task_facts,
)
from edgeseq.workflows.demo.judge import judge_claims
from edgeseq.workflows.demo.measure import Plan, measure
from edgeseq.workflows.quantize import quantize_bundle

FAMILIES = ("lstm", "transformer")
QUICK_STEPS = 60
FASTEST_HZ, SLOWEST_HZ = 100.0, 10.0

Progress = Callable[[str], None]


@dataclass
class _Stages:
    """Tells what begins, and keeps how long it took."""

    say: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.say(name)
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 2)


@dataclass(frozen=True)
class _Demo:
    """What a demo was asked for."""

    out: Path
    task: str
    params: int
    seed: int
    fold: int
    workers: int
    quick: bool

    def folder(self, family: str) -> Path:
        return self.out / family

    def builds(self) -> list[Build]:
        steps = QUICK_STEPS if self.quick else None
        return [
            Build(
                family, self.task, self.params, self.seed, self.fold, self.folder(family), steps,
                sequence=family == "transformer",
            )
            for family in FAMILIES
        ]  # fmt: skip

    def plan(self, frame: Frame) -> Plan:
        rate_hz = paced_rate(frame)
        if self.quick:
            return Plan(
                HotSettings(rounds=5, block=40),
                PaceSettings(rate_hz, seconds=20 / rate_hz, segments=2),
                fresh_processes=1, fresh_steps=20, position_repeats=3,
            )  # fmt: skip
        return Plan(HotSettings(), PaceSettings(rate_hz))

    def commands(self) -> tuple[str, ...]:
        out, task = shlex.quote(str(self.out)), shlex.quote(self.task)
        asked = f"--params {self.params} --seed {self.seed}"
        fold = f" --fold {self.fold}" if self.fold else ""
        lines = [f"edgeseq demo -o {out} --task {task} {asked}{fold}", "# or one by one:"]
        for family in FAMILIES:
            folder = f"{out}/{family}"
            lines += [
                f"edgeseq train {task} --model {family} {asked}{fold} -o {folder}/run",
                f"edgeseq export {folder}/run -o {folder}/bundle",
                f"edgeseq quantize {folder}/bundle --recipe int8-dynamic",
                f"edgeseq check {folder}/bundle",
                f"edgeseq bench {folder}/bundle",
            ]
        return tuple(lines)


def run_demo(
    out: Path,
    *,
    task: str = "har",
    params: int = 50_000,
    seed: int = 0,
    fold: int = 0,
    workers: int = 2,
    progress: Progress | None = None,
    quick: bool = False,
) -> DemoResult:
    """Make an LSTM and a Transformer of at most `params` parameters, prove and measure them.

    Leaves `results.json`, `report.html` and, for each family, `run` and `bundle` in `out`. What
    is finished there is kept, what was interrupted goes on. Nothing is timed while another of
    its processes runs.

    Args:
        out: the folder.
        task: a task's name, or a TOML of the user's own data.
        params: of each model, at most.
        seed: of training.
        fold: of the task.
        workers: models that are trained at a time.
        progress: is told what begins.
        quick: train and measure hardly at all, to see that everything works.

    Raises:
        CheckpointError: `out` holds runs with other settings.
        PromiseError: a check failed; the report says which, and is written all the same.
    """
    demo = _Demo(out, task, params, seed, fold, workers, quick)
    machine = this_machine()  # before we load it ourselves
    stages = _Stages(progress or (lambda _: None))
    with stages.stage("data"):
        loaded = load_task(task, stages.say)
        test = loaded.split(fold).test
    with stages.stage("train and export"):
        build_models(demo.builds(), workers=workers, progress=stages.say)
    with stages.stage("quantize"):
        bundles = {family: _quantized(demo, family, stages.say) for family in FAMILIES}
    with stages.stage("check"):
        promises = {family: check_promises(bundle) for family, bundle in bundles.items()}
    with stages.stage("accuracy"):
        scores = {
            family: {
                name: score_variant(bundle, name, loaded, test) for name in bundle.manifest.variants
            }
            for family, bundle in bundles.items()
        }
    with stages.stage("bench"):
        sequence = load_bundle(demo.folder("transformer") / "sequence")
        plan = demo.plan(loaded.frame)
        measured = measure(bundles, sequence, plan, progress=stages.say)
    models = tuple(
        model_report(
            bundle, demo.folder(family) / "run", scores[family], promises[family], measured
        )
        for family, bundle in bundles.items()
    )
    result = DemoResult(
        schema=SCHEMA,
        status="measured",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edgeseq=__version__,
        machine=machine,
        task=task_facts(loaded, test, fold, seed, next(iter(bundles.values())).manifest.origin),
        models=models,
        ratios=tuple(r for r in measured.hot.ratios if r.candidate != FLOOR),
        positions=measured.positions,
        harness=Harness(
            measured.hot.harness, measured.hot.latencies[FLOOR], measured.paced_harness
        ),
        hot_settings=plan.hot,
        pace_settings=plan.pace,
        seconds=stages.seconds,
        claims=judge_claims(models, measured),
        commands=demo.commands(),
        not_measured=not_measured(machine, loaded.folds),
    )
    stages.say("report")
    write_demo(result, out)
    result.require_promises()
    return result


def paced_rate(frame: Frame) -> float:
    """Return the rate of the paced run: the sensor's own, which is the hardest an app could ask.

    Sensors with more than 100 samples a second are always read in frames. Below 10 Hz the caches
    get no colder, and nobody would wait for the result.
    """
    rate = frame.sample_rate_hz if frame.sample_rate_hz <= FASTEST_HZ else frame.rate_hz
    return max(rate, SLOWEST_HZ)


def write_demo(result: DemoResult, out: Path) -> None:
    """Write `results.json` and `report.html` into `out`."""
    result.save(out / RESULTS)
    files.write_text(out / REPORT, render(result))


def _quantized(demo: _Demo, family: str, say: Progress) -> Bundle:
    path = demo.folder(family) / "bundle"
    bundle = load_bundle(path)
    if "int8" in bundle.manifest.variants and is_current(path, demo.folder(family) / "run"):
        return bundle
    return quantize_bundle(path, progress=lambda text: say(f"quantize {family}: {text}"))
