"""The best quantization is found, confirmed, written, and found again after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeseq.bench.latency import HotResult, HotSettings
from edgeseq.bench.stats import summarise
from edgeseq.bundle import load_bundle, write_manifest
from edgeseq.check import check_bundle
from edgeseq.contract import SessionSettings
from edgeseq.errors import BundleError, DataError, PromiseError, UsageError
from edgeseq.quantize.search import FP32
from edgeseq.recipes import load_recipe
from edgeseq.report.auto import AutoResult, Finding
from edgeseq.tasks import load_task
from edgeseq.workflows.auto import AutoSettings, ending, finals, quantize_auto, trials, work_folder
from edgeseq.workflows.auto.kept import Kept
from edgeseq.workflows.auto.lab import Lab
from edgeseq.workflows.auto.limits import Limits
from edgeseq.workflows.evidence import gather
from edgeseq.workflows.quantize import quantize_bundle

QUICK = AutoSettings(max_drop=10.0, steps=300, hot=HotSettings(rounds=2, block=20))
WEIGHTS = ["W0", "R0", "W1", "R1", "head"]


@pytest.fixture
def lstm(lstm_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(lstm_bundle.path, tmp_path / "bundle"))


@pytest.fixture
def clock(monkeypatch):
    """Steps take so many microseconds, by candidate; 50 where nothing is said."""
    times: dict[str, float] = {}

    def measure(candidates, hot) -> HotResult:
        took = {one.name: times.get(one.name, 50.0) * 1000 for one in candidates}
        idle = summarise(np.full(10, 40))
        return HotResult(
            latencies={name: summarise(np.full(10, int(ns))) for name, ns in took.items()},
            warmups={},
            medians={name: [[ns, ns], [ns, ns]] for name, ns in took.items()},
            harness=idle,
        )

    monkeypatch.setattr(finals, "measure_hot", measure)
    return times


def try_only(monkeypatch, *recipes) -> None:
    monkeypatch.setattr("edgeseq.workflows.auto.recipes_for_cpu", lambda **_: list(recipes))


@pytest.fixture(autouse=True)
def two(monkeypatch):
    try_only(monkeypatch, load_recipe("int8-dynamic"), load_recipe("int8-per-tensor"))


@pytest.fixture
def tight(two, monkeypatch):
    """One recipe, whose tolerance the head breaks as long as it is quantized."""
    recipe = load_recipe("int8-dynamic")
    tolerance = replace(recipe.tolerance, noise=0.002)
    try_only(monkeypatch, replace(recipe, tolerance=tolerance))


@pytest.fixture
def static(two, monkeypatch):
    """Both int8 schemes, one of them calibrated on as little as will do."""
    recipe = load_recipe("int8-static")
    calibration = replace(recipe.quantize.calibration, streams=2, shortest=8, longest=32)
    quick = replace(recipe, quantize=replace(recipe.quantize, calibration=calibration))
    try_only(monkeypatch, load_recipe("int8-dynamic"), quick)


def timeless(result: AutoResult) -> AutoResult:
    """Return all of a result that has to come out the same again."""
    candidates = tuple(replace(one, timing=None, verdict="") for one in result.candidates)
    same = dict.fromkeys(("created", "because", "chosen", "recipe", "bundle", "machine"), "")
    return replace(result, candidates=candidates, **same)


def findings(folder: Path) -> dict[str, int]:
    """The files that are kept, each with when it was written."""
    kept = [file for file in folder.glob("*.json") if file.name != "result.json"]
    return {file.name: file.stat().st_mtime_ns for file in kept}


def test_the_smallest_of_the_fast_ones_is_added_and_preferred(lstm, clock):
    clock |= {"fp32": 20.0, "int8-dynamic": 14.9, "int8-per-tensor": 15.0}
    result = quantize_auto(lstm, QUICK)
    assert result.chosen == "int8-per-tensor"
    verdicts = {one.name: one.verdict for one in result.candidates}
    assert verdicts == {
        "fp32": "larger and slower than int8-per-tensor",
        "int8-dynamic": "larger than int8-per-tensor, and no faster",
        "int8-per-tensor": "preferred",
    }
    bundle = load_bundle(lstm)
    assert bundle.manifest.preferred == "int8"
    int8 = bundle.variant("int8")
    assert int8.contract.recipe == "int8-per-tensor"
    assert int8.accuracy == result.confirmed[1].finding.accuracy
    because = bundle.manifest.preferred_because
    assert because == result.because
    assert "faster here (0.75 times fp32's time)" in because
    assert "on validation" in because
    assert "on test" in because
    assert check_bundle(bundle, ["int8"]).ok


def test_every_weight_is_quantized_alone_in_every_scheme(lstm, clock, static):
    result = quantize_auto(lstm, QUICK)
    pairs = [(one.weight, one.scheme) for one in result.sensitivities]
    assert pairs == [(w, s) for w in WEIGHTS for s in ("dynamic", "static")]
    assert all(0 < one.noise < 0.05 and one.parity.steps == 300 for one in result.sensitivities)
    assert {one.weight: one.elements for one in result.sensitivities} == {
        "W0": 4 * 48, "R0": 12 * 48, "W1": 12 * 48, "R1": 12 * 48, "head": 36,
    }  # fmt: skip
    # Noises of weights are nearly independent: their powers add up to that of all together.
    powers = [one.noise**2 for one in result.sensitivities if one.scheme == "dynamic"]
    whole = result.candidate("int8-dynamic").noise ** 2
    assert sum(powers) == pytest.approx(whole, rel=0.5)
    noise = {one.name: one.noise for one in result.candidates[1:]}
    quieter = min(noise, key=noise.get).removeprefix("int8-")
    assert result.ladder == (quieter, FP32)


def test_fp32_stays_with_its_reason_and_nothing_else_changes(lstm, clock, lstm_bundle):
    result = quantize_auto(lstm, QUICK)  # all as fast as each other
    assert (result.chosen, result.recipe, result.broken) == (FP32, "", ())
    manifest = load_bundle(lstm).manifest
    assert manifest.preferred_because.startswith("none of 2 that were tried is better here: int8-")
    assert "is no faster than fp32 (1.00 times its time)" in manifest.preferred_because
    before = lstm_bundle.manifest
    assert replace(manifest, preferred_because=before.preferred_because) == before
    assert [one.name for one in result.confirmed] == [FP32]
    result.require_promises()


def test_a_mixture_wins_where_recipes_break_a_limit(lstm, clock, tight, lstm_bundle, tmp_path):
    clock |= {"fp32": 20.0, "mixed-1": 15.0}
    result = quantize_auto(lstm, QUICK, report=tmp_path / "out" / "page.html")
    names = [one.name for one in result.candidates]
    assert names == ["fp32", "int8-dynamic", "mixed-1"]
    assert "too noisy" in result.candidate("int8-dynamic").verdict
    mixed = result.candidate("mixed-1")
    noisiest = max(result.sensitivities, key=lambda one: one.power_per_kib).weight
    assert [w for w in WEIGHTS if mixed.schemes[w] == FP32] == [noisiest]
    assert mixed.noise < 0.002 < result.candidate("int8-dynamic").noise
    assert load_bundle(lstm).manifest.preferred == "mixed"
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "mixed-1.toml", "page.html", "page.json",
    ]  # fmt: skip
    # ... and its recipe makes the very same file again.
    assert result.recipe == str(tmp_path / "out" / "mixed-1.toml")
    other = shutil.copytree(lstm_bundle.path, tmp_path / "other")
    again = quantize_bundle(other, result.recipe, hot=QUICK.hot, accuracy=False)
    assert again.variant("mixed").sha256 == load_bundle(lstm).variant("mixed").sha256


def test_a_walk_to_the_end_leaves_fp32(lstm, clock, tight, monkeypatch):
    monkeypatch.setattr(Limits, "broken", lambda *_: ("too noisy",))
    result = quantize_auto(lstm, QUICK)
    assert [one.name for one in result.candidates] == ["fp32", "int8-dynamic"] + [
        f"mixed-{number}" for number in range(1, 5)
    ]
    assert result.chosen == FP32
    kept = [sum(s == FP32 for s in one.schemes.values()) for one in result.candidates[1:]]
    assert kept == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("refuted", [True, False])
def test_what_is_not_proven_on_test_is_not_preferred(lstm, clock, monkeypatch, refuted):
    clock |= {"fp32": 20.0} | dict.fromkeys(("int8-dynamic", "int8-per-tensor"), 10.0)
    said = ("less accurate",) if refuted else ("of uncertain accuracy",)

    class OnTest(Limits):
        def broken(self, *_) -> tuple[str, ...]:
            return said

        def refuted(self, *_) -> tuple[str, ...]:
            return said if refuted else ()

    monkeypatch.setattr(ending, "Limits", OnTest)
    result = quantize_auto(lstm, QUICK)
    assert (result.chosen, result.broken) == (FP32, said if refuted else ())
    bundle = load_bundle(lstm)
    assert bundle.manifest.preferred == "fp32"
    assert f"chosen on validation, is {said[0]} on test" in result.because
    assert bundle.manifest.preferred_because == result.because
    assert "int8" in bundle.manifest.variants
    if refuted:
        with pytest.raises(PromiseError, match="fp32 stays preferred"):
            result.require_promises()
    else:
        result.require_promises()


def test_losses_are_counted_by_frame_to_choose_and_by_window_to_confirm(lstm, clock):
    clock |= {"fp32": 20.0, "int8-dynamic": 10.0}
    result = quantize_auto(lstm, QUICK)
    tried, confirmed = result.candidates[1].finding, result.confirmed[1].finding
    assert tried.paired.count == 25 * tried.accuracy.count
    assert confirmed.paired.count == confirmed.accuracy.count
    assert confirmed.paired == load_bundle(lstm).variant("int8").paired


class _Other:
    """The task with other recordings on one side of the split."""

    def __init__(self, task, side: str) -> None:
        self._task, self._side = task, side

    def split(self, fold: int = 0):
        split = self._task.split(fold)
        own = getattr(split, self._side)
        other = [
            replace(one, frames=one.frames[::-1].copy(), target=np.zeros_like(one.target))
            for one in own
        ]
        return replace(split, **{self._side: tuple(other)})

    def __getattr__(self, name: str):
        return getattr(self._task, name)


def test_the_test_recordings_choose_nothing(lstm, clock, walk, tight):
    task = load_task(str(walk))
    results = {
        side: quantize_auto(lstm, QUICK, task=_Other(task, side)) for side in ("test", "validation")
    }
    plain = quantize_auto(lstm, QUICK, task=task)
    assert results["test"].candidates == plain.candidates
    assert results["test"].sensitivities == plain.sensitivities
    assert results["test"].confirmed != plain.confirmed
    assert results["validation"].candidates != plain.candidates
    assert results["validation"].confirmed == plain.confirmed


def test_the_same_call_finds_the_same_and_tries_nothing_twice(lstm, clock, monkeypatch):
    first = quantize_auto(lstm, QUICK)
    before = findings(work_folder(lstm))
    monkeypatch.setattr("edgeseq.workflows.auto.lab.StreamModel", None)  # nothing can be run
    again = quantize_auto(lstm, QUICK)
    assert timeless(again) == timeless(first)
    assert findings(work_folder(lstm)) == before
    assert len(before) == 1 + 2 + 5 + 1  # fp32, recipes, weights alone, fp32 on test


def test_another_seed_streams_other_frames(lstm, clock):
    quick = replace(QUICK, steps=50)
    first, other = (quantize_auto(lstm, replace(quick, seed=seed)) for seed in (0, 1))
    assert first.candidates[1].finding.parity != other.candidates[1].finding.parity
    assert first.candidates[1].finding.accuracy == other.candidates[1].finding.accuracy


@pytest.mark.parametrize("what", ["by_frame", "frames", "recordings", "seed", "settings", "source"])
def test_whatever_a_finding_depends_on_is_in_its_key(lstm, tmp_path, what):
    bundle, recipe = load_bundle(lstm), load_recipe("int8-dynamic")
    evidence = gather(bundle, 40, side="validation")
    folder = tmp_path / "kept"
    lab = Lab(
        bundle.file(), SessionSettings(), evidence, lambda _: (), Kept(folder, Finding), tmp_path
    )
    longer = tmp_path / "longer.onnx"
    longer.write_bytes(bundle.file().read_bytes() + b"\xfa\x01\x00")  # a field that nobody reads
    one = evidence.recordings[0]
    relabelled = (replace(one, target=np.ones_like(one.target)), *evidence.recordings[1:])
    other = {
        "by_frame": replace(lab, by_frame=False),
        "frames": replace(lab, evidence=replace(evidence, frames=evidence.frames[:30])),
        "recordings": replace(lab, evidence=replace(evidence, recordings=relabelled)),
        "seed": replace(lab, evidence=replace(evidence, seed=1)),
        "settings": replace(lab, settings=SessionSettings(graph_level="extended")),
        "source": replace(lab, source=longer),
    }[what]
    lab.listen(recipe)
    lab.listen(recipe)
    assert (len(list(folder.iterdir())), lab.kept.found) == (1, 1)
    other.listen(recipe)
    assert len(list(folder.iterdir())) == 2


SEARCH = """
import sys
from edgeseq.bench.latency import HotSettings
from edgeseq.recipes import load_recipe
from edgeseq.workflows import auto
auto.recipes_for_cpu = lambda **_: [*map(load_recipe, ("int8-dynamic", "int8-per-tensor"))]
hot = HotSettings(rounds=2, block=20)
auto.quantize_auto(sys.argv[1], auto.AutoSettings(max_drop=10.0, steps=300, hot=hot))
"""


def test_a_kill_in_the_middle_loses_nothing(lstm, clock, lstm_bundle, tmp_path):
    """SIGKILL after some findings, then again: the same as never interrupted."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    search = subprocess.Popen([sys.executable, "-c", SEARCH, str(lstm)], env=environment)
    folder, deadline = work_folder(lstm), time.monotonic() + 60
    while len(findings(folder)) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    search.kill()
    assert search.wait() == -signal.SIGKILL
    before = findings(folder)
    assert 5 <= len(before) < 9
    for name in before:
        json.loads((folder / name).read_text())  # whole, not cut
    assert load_bundle(lstm).manifest == lstm_bundle.manifest
    resumed = quantize_auto(lstm, QUICK)
    after = findings(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) == 9
    other = Path(shutil.copytree(lstm_bundle.path, tmp_path / "never"))
    assert timeless(quantize_auto(other, QUICK)) == timeless(resumed)


def test_without_the_tasks_data_there_is_nothing_to_choose_by(lstm):
    bundle = load_bundle(lstm)
    origin = replace(bundle.manifest.origin, task="/nowhere/gone.toml")
    write_manifest(lstm, replace(bundle.manifest, origin=origin))
    with pytest.raises(DataError, match=r"gone\.toml.*name one recipe: edgeseq quantize .*bundle"):
        quantize_auto(lstm, QUICK)
    assert not work_folder(lstm).exists()


def test_a_bundle_without_fp32_is_refused(lstm):
    bundle = quantize_bundle(lstm, hot=QUICK.hot, accuracy=False)
    only = {"int8": bundle.variant("int8")}
    write_manifest(lstm, replace(bundle.manifest, variants=only, preferred="int8"))
    with pytest.raises(BundleError, match="no fp32 variant"):
        quantize_auto(lstm, QUICK)


@pytest.mark.parametrize("wrong", [{"max_drop": -0.1}, {"steps": 0}, {"seed": -1}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(UsageError):
        AutoSettings(**wrong)


def test_recipes_for_a_cpu_leave_out_fp16_and_what_depends_on_the_cpu():
    default, all_ = (trials.recipes_for_cpu(cpu_dependent=flag) for flag in (False, True))
    names = [recipe.name for recipe in default]
    assert {"int8-dynamic", "int8-per-tensor", "int8-static"} <= set(names)
    assert all(recipe.quantize.portable for recipe in default)
    assert "fp16" not in [recipe.name for recipe in all_]
    assert set(names) <= {recipe.name for recipe in all_}
