"""The demo: building in processes, measuring, judging, and all of it at toy size."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from report.synthetic import models as report_models

from edgeseq.bench.latency import HotSettings
from edgeseq.bench.pace import PaceSettings
from edgeseq.bundle import Bundle, load_bundle
from edgeseq.contract import Frame
from edgeseq.errors import CheckpointError, EdgeseqError, UsageError
from edgeseq.report.demo import DemoResult
from edgeseq.tasks import load_task
from edgeseq.workflows.demo import paced_rate, run_demo
from edgeseq.workflows.demo.build import (
    Build,
    _receive,
    build_models,
    describe,
    is_current,
    read_run,
)
from edgeseq.workflows.demo.facts import check_promises, not_measured, score_variant
from edgeseq.workflows.demo.judge import edge_evidence
from edgeseq.workflows.demo.measure import POSITIONS, Plan, fastest, measure, stepped
from edgeseq.workflows.export import ExportSettings, export_run

BRIEF = Plan(
    HotSettings(rounds=3, block=10, settle=1),
    PaceSettings(500.0, seconds=0.04, segments=2),
    fresh_processes=0,
    position_repeats=2,
)


def test_a_bundle_is_kept_while_its_run_is_the_same(
    lstm_bundle: Bundle, run_of: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text((run_of["lstm"] / "run.json").read_text())
    old = (lstm_bundle.path / "model.onnx").stat().st_mtime_ns - 1
    os.utime(run / "run.json", ns=(old, old))
    assert is_current(lstm_bundle.path, run)
    os.utime(run / "run.json", ns=(old + 2, old + 2))
    assert not is_current(lstm_bundle.path, run)
    assert not is_current(tmp_path / "nowhere", run)


def test_models_are_described(
    lstm_bundle: Bundle, transformer_bundle: Bundle, run_of: dict[str, Path]
) -> None:
    assert describe(lstm_bundle, read_run(run_of["lstm"])) == "2 layers of 12 units"
    assert describe(transformer_bundle, read_run(run_of["transformer"])) == (
        "2 blocks, width 16, feed-forward 24, 2 heads, window 16 frames"
    )


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json"):
        read_run(tmp_path)


def test_what_fails_in_a_process_is_raised_here(tmp_path: Path) -> None:
    build = Build("lstm", str(tmp_path / "nowhere.toml"), 1000, 0, 0, tmp_path)
    with pytest.raises(UsageError, match=r"no file .*nowhere\.toml"):
        build_models([build])
    with pytest.raises(UsageError, match="0 workers"):
        build_models([build], workers=0)


def test_a_process_that_dies_is_named_with_its_exit_code() -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    theirs.send(("progress", 0, "40 %"))
    theirs.close()
    killed = SimpleNamespace(exitcode=-9, join=lambda: None)
    running = {ours: (killed, "lstm")}
    assert _receive(ours, running) == "40 %"
    with pytest.raises(EdgeseqError, match=r"trains the lstm ended with exit code -9"):
        _receive(ours, running)
    assert running == {}


def _gone(group: int) -> bool:
    """Wait until no process of the group is left; helpers of multiprocessing end a moment later."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_interrupted_training_leaves_no_process_behind(walk: Path, tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from edgeseq.workflows.demo.build import Build, build_models\n"
        "if __name__ == '__main__':\n"
        f"    build = Build('lstm', {str(walk)!r}, 3000, 0, 0, Path({str(tmp_path)!r}))\n"
        "    build_models([build], progress=lambda text: print(text, flush=True))\n"
    )
    (tmp_path / "program.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A shell's background jobs ignore ctrl-C, and what they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does on ctrl-C
    _, error = process.communicate(timeout=30)
    assert line.startswith("train lstm 0 %")
    assert "KeyboardInterrupt" in error
    assert _gone(process.pid), "a process of the group still lives"


def test_the_fastest_variant_by_the_manifest_comes_first(
    lstm_bundle: Bundle, transformer_bundle: Bundle
) -> None:
    from edgeseq.measured import Latency

    def timed(name: str, median: float):
        latency = Latency(median, 30.0, "cpu", "1.32")
        return replace(transformer_bundle.manifest.variants[name], latency=latency)

    assert fastest(transformer_bundle) == transformer_bundle.manifest.preferred
    variants = {"fp32": timed("fp32", 30.0), "step": timed("step", 20.0)}
    bundle = replace(
        transformer_bundle, manifest=replace(transformer_bundle.manifest, variants=variants)
    )
    assert fastest(bundle) == "step"
    assert stepped({"transformer": bundle, "lstm": lstm_bundle}) == [
        ("transformer", "step"), ("transformer", "fp32"), ("lstm", "fp32"), ("lstm", "step"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sensor_hz", "samples", "paced_hz"),
    [(50.0, 4, 50.0), (100.0, 1, 100.0), (16_000.0, 160, 100.0), (1 / 300, 1, 10.0)],
)
def test_the_paced_rate_is_hard_but_sane(sensor_hz: float, samples: int, paced_hz: float) -> None:
    assert paced_rate(Frame(("x",), ("1",), sensor_hz, samples)) == paced_hz


def test_everything_is_measured_in_one_run(lstm_bundle: Bundle, transformer_bundle: Bundle) -> None:
    said: list[str] = []
    bundles = {"lstm": lstm_bundle, "transformer": transformer_bundle}
    measured = measure(bundles, None, BRIEF, progress=said.append)
    assert list(measured.hot.latencies) == [
        "lstm fp32", "lstm step", "transformer fp32", "transformer step", "floor",
    ]  # fmt: skip
    assert {latency.count for latency in measured.hot.latencies.values()} == {30}
    assert [(r.reference, r.candidate) for r in measured.hot.ratios] == [
        ("lstm fp32", "lstm step"), ("lstm fp32", "transformer fp32"),
        ("lstm fp32", "transformer step"), ("lstm fp32", "floor"),
    ]  # fmt: skip
    assert {paced.frames for paced in measured.paced.values()} == {20}
    assert measured.fresh == {}
    assert [curve.name for curve in measured.positions] == ["LSTM step", "ring step"]
    for curve in measured.positions:
        assert curve.positions == POSITIONS
        assert curve.repeats == 2
        assert min(curve.median_us) > 0
    assert any("paced at 500 Hz" in text for text in said)


def test_recordings_add_up_to_the_score(lstm_bundle: Bundle, walk: Path) -> None:
    task = load_task(str(walk))
    test = task.split(0).test
    short = replace(test[0], frames=test[0].frames[:3], target=test[0].target[:3], name="short")
    score, alone = score_variant(lstm_bundle, "fp32", task, (*test, short))
    assert "short" not in {item.name for item in alone}
    assert sum(item.count for item in alone) == score.count
    mean = sum(item.count * item.value for item in alone) / score.count
    assert mean == pytest.approx(score.value)
    assert sum(map(sum, score.confusion)) == score.count
    recorded = lstm_bundle.variant("fp32").accuracy
    assert (score.count, round(score.value, 4)) == (recorded.count, recorded.value)


def test_check_becomes_promises(lstm_bundle: Bundle) -> None:
    promises = check_promises(lstm_bundle)
    assert {promise.variant for promise in promises} == {"fp32", "step"}
    assert not [promise for promise in promises if promise.status == "broken"]
    assert len({promise.name for promise in promises}) > 3


def test_less_error_is_better() -> None:
    def forecast(model, value: float):
        variants = tuple(
            replace(
                variant,
                accuracy=replace(
                    variant.accuracy, metric="MAE mg/dL", value=value, higher_is_better=False
                ),
                recordings=tuple(
                    replace(score, value=value + index)
                    for index, score in enumerate(variant.recordings)
                ),
            )
            for variant in model.variants
        )
        return replace(model, variants=variants)

    lstm, transformer = report_models()
    evidence = edge_evidence(forecast(lstm, 10.0), forecast(transformer, 12.0))
    assert evidence.unit == "mg/dL"
    assert evidence.margin == pytest.approx(0.2)
    assert {difference.mean for difference in evidence.differences} == {2.0}  # better
    assert evidence.points[0].accuracy == -10.0
    percent = edge_evidence(lstm, transformer)
    assert (percent.unit, percent.margin) == ("points", 2.0)


def test_the_process_that_measures_never_loads_torch() -> None:
    program = "import sys, edgeseq.workflows.demo; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_left_out_is_listed() -> None:
    from edgeseq.bench.machine import this_machine

    machine = replace(this_machine(), providers=("CPUExecutionProvider",))
    assert not_measured(machine, 5)["CUDA"] == "this ONNX Runtime has no CUDA provider"
    both = replace(machine, providers=("CUDAExecutionProvider", *machine.providers))
    assert "--provider cuda" in not_measured(both, 5)["CUDA"]
    assert "one of 5 folds" in not_measured(machine, 5)["Other people, seeds and sizes"]


def test_a_demo_of_models_that_are_there(
    lstm_bundle: Bundle,
    transformer_bundle: Bundle,
    run_of: dict[str, Path],
    walk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for family, bundle in (("lstm", lstm_bundle), ("transformer", transformer_bundle)):
        shutil.copytree(run_of[family], tmp_path / family / "run")
        shutil.copytree(bundle.path, tmp_path / family / "bundle")
    sequence = tmp_path / "transformer" / "sequence"
    export_run(run_of["transformer"], sequence, ExportSettings(form="sequence"))
    asked: list[Build] = []
    monkeypatch.setattr(
        "edgeseq.workflows.demo.build_models", lambda builds, **_: asked.extend(builds)
    )
    said: list[str] = []
    result = run_demo(tmp_path, task=str(walk), params=3000, quick=True, progress=said.append)
    assert [(build.family, build.params, build.sequence) for build in asked] == [
        ("lstm", 3000, False), ("transformer", 3000, True),
    ]  # fmt: skip
    assert DemoResult.load(tmp_path / "results.json") == result
    page = (tmp_path / "report.html").read_text()
    assert all(claim.sentence.split(";")[0] in page for claim in result.claims)
    assert {variant.name for variant in result.model("transformer").variants} == {
        "fp32", "int8", "step", "step-int8",
    }  # fmt: skip
    assert result.models[0].variants[0].memory.steps == 20
    assert result.pace_settings.rate_hz == 50.0
    assert [ratio.reference for ratio in result.ratios] == [f"lstm {result.models[0].fastest}"] * 7
    assert list(result.seconds) == [
        "data", "train and export", "quantize", "check", "accuracy", "bench",
    ]  # fmt: skip
    assert said[-1] == "report"
    assert result.commands[0] == (
        f"edgeseq demo -o {tmp_path} --task {walk} --params 3000 --seed 0"
    )


@pytest.mark.slow
def test_the_whole_demo_and_again(walk: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = run_demo(
        tmp_path, task=str(walk), params=4000, quick=True, workers=1, progress=said.append
    )
    assert DemoResult.load(tmp_path / "results.json") == result
    page = (tmp_path / "report.html").read_text()
    assert all(claim.hypothesis in page for claim in result.claims)
    assert [claim.claim for claim in result.claims] == ["latency", "edge"]
    assert "not measured" not in {claim.word for claim in result.claims}
    for family in ("lstm", "transformer"):
        bundle = load_bundle(tmp_path / family / "bundle")
        model = result.model(family)
        assert {variant.name for variant in model.variants} == set(bundle.manifest.variants)
        assert "int8" in bundle.manifest.variants
        assert all(variant.memory for variant in model.variants)
        assert model.parameters <= 4000
    assert [curve.name for curve in result.positions] == ["LSTM step", "ring step", "recompute"]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.onnx")}
    again = run_demo(tmp_path, task=str(walk), params=4000, quick=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.onnx")} == made
    assert again.models[0].variants[0].accuracy == result.models[0].variants[0].accuracy
    with pytest.raises(EdgeseqError, match=r"run\.json"):
        run_demo(tmp_path, task=str(walk), params=5000, quick=True)
