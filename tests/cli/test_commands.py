"""Every verb, from what is typed to what is printed and left on disk."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from edgeseq.bundle import load_bundle
from edgeseq.cli import main
from edgeseq.errors import MissingExtraError
from edgeseq.graph.build import write_contract


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def lstm_copy(lstm_bundle, tmp_path):
    return shutil.copytree(lstm_bundle.path, tmp_path / "bundle")


def test_tasks_lists_all():
    output = call("tasks").stdout
    assert "har" in output
    assert "glucose" in output
    table = json.loads(call("tasks", "--json").stdout)
    assert table["har"]["frame"]["samples"] == 4
    assert table["glucose"]["folds"] == 1


def test_train_then_export(walk, tmp_path):
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    report = json.loads(
        call(
            "train", walk, "--model", "transformer", "--width", 16, "--heads", 2, "--window", 8,
            "--positions", "learned", "--steps", 60, "-o", run, "--json",
        ).stdout
    )  # fmt: skip
    assert report["spec"]["feed_forward"] == 64
    assert report["parameters"] == report_parameters(report["spec"])
    assert report["baselines"]["majority class"]["value"] == pytest.approx(100 / 3)
    assert report["scores"]["test"]["value"] > 60
    output = call("export", run, "-o", bundle).output
    assert "fp32 *" in output
    assert "step" in output
    parity = load_bundle(bundle).variant("step").parity
    assert parity.steps == 10_000
    assert parity.relative_error < 1e-5


def report_parameters(spec):
    from edgeseq.models.transformer import TransformerSpec

    return TransformerSpec(**spec).parameters(inputs=4, outputs=3)


def test_train_is_reproducible(walk, tmp_path):
    for name in "ab":
        call("train", walk, "--hidden", 4, "--steps", 10, "--seed", 3, "-o", tmp_path / name)
    a, b = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_resume_with_qat_makes_a_run_beside_the_old_one(walk, tmp_path):
    run = tmp_path / "run"
    call("train", walk, "--hidden", 4, "--steps", 10, "-o", run)
    # One line, however long the folder's name is and wherever the terminal would break it.
    text = " ".join(call("train", "--resume", run, "--qat", "--steps", 2).stdout.split())
    assert "before, int8-dynamic" in text
    assert f"edgeseq export {run}-qat -o bundle, then: edgeseq quantize bundle" in text
    assert json.loads((tmp_path / "run-qat" / "run.json").read_text())["tuned"]["recipe"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--qat", "--hidden", "4"], "--hidden is the run's own; --qat cannot change it"),
        (["run", "--qat", "--seed", "0"], "--seed is the run's own; --qat cannot change it"),
        (["--qat"], "--qat needs the run to fine-tune: edgeseq train RUN --qat"),
        (["har", "-o", "x", "--recipe", "fp16"], "--recipe is for --qat"),
        (["har"], "Missing option '-o' / '--output'"),
    ],
)
def test_options_that_do_not_go_together(arguments, message):
    assert message in call("train", *arguments, code=2).stderr


def test_size_of_another_family_is_refused(walk, tmp_path):
    result = call("train", walk, "--model", "lstm", "--window", 8, "-o", tmp_path / "r", code=2)
    assert result.stderr.splitlines()[-1] == (
        "Error: window is no size of a lstm; it has: dropout, hidden, layers, projection"
    )


@pytest.mark.parametrize(("text", "number"), [("50k", 50_000), ("1.2M", 1_200_000), ("7", 7)])
def test_sizes_as_people_write_them(text, number):
    from edgeseq.cli.kinds import COUNT

    assert COUNT.convert(text, None, None) == number


@pytest.mark.parametrize("text", ["", "k", "-5", "5x", "0", "1e3"])
def test_sizes_that_are_none(text, walk, tmp_path):
    result = call("train", walk, "--params", text, "-o", tmp_path / "run", code=2)
    assert "is not a size; write 50k, 1.2M or 50000" in result.stderr


@pytest.mark.parametrize("text", ["1,1", "N=0,T=1", "T=1", "N=1,T=x"])
def test_static_sizes_that_are_none(text, run_of, tmp_path):
    result = call("export", run_of["lstm"], "-o", tmp_path / "b", "--static", text, code=2)
    assert result.stderr == f"Error: --static {text} is not of the form N=1,T=1\n"


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_static_bundle_has_only_numbers(family, run_of, tmp_path):
    import onnx

    bundle = tmp_path / "bundle"
    call("export", run_of[family], "-o", bundle, "--static", "N=1,T=1")
    graph = onnx.load(bundle / "model.onnx").graph
    for value in (*graph.input, *graph.output):
        assert all(d.HasField("dim_value") for d in value.type.tensor_type.shape.dim), value.name
    assert not {"Shape", "Range"} & {node.op_type for node in graph.node}
    assert list(load_bundle(bundle).manifest.variants) == ["fp32"]
    call("check", bundle)


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_sequence_bundle_has_no_state(family, run_of, tmp_path):
    bundle = tmp_path / "bundle"
    manifest = json.loads(
        call("export", run_of[family], "-o", bundle, "--form", "sequence", "--json").stdout
    )
    assert manifest["variants"]["fp32"]["contract"]["states"] == []
    call("check", bundle)


@pytest.mark.parametrize("family", ["lstm", pytest.param("transformer", marks=pytest.mark.slow)])
def test_quantize_check_bench(family, run_of, tmp_path):
    bundle = tmp_path / "bundle"
    call("export", run_of[family], "-o", bundle)
    output = call("quantize", bundle).output
    assert "int8" in output
    checked = call("check", bundle)
    assert "int8" in checked.stdout
    result = json.loads(
        call(
            "bench", bundle, "--variant", "fp32", "--variant", "int8", "--rounds", 2,
            "--seconds", 0.2, "--rate", 100, "--fresh", 1, "--json",
        ).stdout
    )  # fmt: skip
    assert [variant["name"] for variant in result["variants"]] == ["fp32", "int8"]
    assert all(variant["hot"]["p50_us"] > 0 for variant in result["variants"])
    assert len(result["ratios"]) == 1


def test_check_of_a_broken_promise_exits_3(lstm_copy):
    reference = dict(np.load(lstm_copy / "reference.npz"))
    reference["outputs"][500] += 1
    np.savez(lstm_copy / "reference.npz", **reference)
    from edgeseq.files import sha256

    manifest = json.loads((lstm_copy / "manifest.json").read_text())
    manifest["reference"]["sha256"] = sha256(lstm_copy / "reference.npz")
    (lstm_copy / "manifest.json").write_text(json.dumps(manifest))
    result = call("check", lstm_copy, code=3)
    assert "500" in result.output
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_bench_of_a_device_that_this_is_not(lstm_copy):
    arguments = ("bench", lstm_copy, "--rounds", 1, "--seconds", 0, "--fresh", 0)
    output = call(*arguments, "--device", "raspberry-pi-zero-2w").stdout
    assert "not checked" in output
    call(*arguments, "--device", "raspberry-pi-zero-2w", "--strict", code=3)


def test_check_of_a_device_judges_what_needs_no_measurement(lstm_copy, tmp_path):
    summary = tmp_path / "summary.md"
    arguments = ("check", lstm_copy, "--device", "raspberry-pi-zero-2w", "--variant", "fp32")
    output = call(*arguments, "--summary", summary).stdout
    assert "pass" in output
    assert "check times nothing" in output
    assert summary.read_text().startswith("### edgeseq check\n")
    assert "| pass | fp32 | model_kib |" in summary.read_text()
    assert "step_p99_ms: check times nothing" in call(*arguments, "--strict", code=3).stderr


QUICK = ("--rounds", 2, "--seconds", 0, "--fresh", 0)


def test_bench_side_by_side(lstm_copy, tmp_path):
    summary = tmp_path / "summary.md"
    names = ("fp32 arena=true", "fp32 onnxruntime")
    output = call(
        "bench", lstm_copy, "--variant", "fp32", "--session", "arena=true", "--session",
        "onnxruntime", "--margin", "900%", "--summary", summary, *QUICK,
    ).stdout  # fmt: skip
    for name in names:
        assert name in output
    assert f"| pass | {names[1]} | hot p50 vs {names[0]} | 10 times |" in summary.read_text()
    call("bench", lstm_copy, "--variant", "fp32", "--session", "threads=many", *QUICK, code=2)


def test_bench_of_many_streams(lstm_copy):
    output = call("bench", lstm_copy, "--variant", "fp32", "--streams", "1,16", *QUICK).stdout
    assert "fp32 on cpu: 16 streams in time" in output
    assert "write 1,64,1024" in call("bench", lstm_copy, "--streams", "many", code=2).stderr


def with_floor(file, ratio):
    """Put into a stored result what seven fresh processes would have found."""
    table = json.loads(file.read_text())
    ratios = [ratio * (1 + error / 1000) for error in (-9, 4, 0, 7, -3, 2, -1)]
    found = {"ratio": ratio, "low": ratio * 0.99, "high": ratio * 1.01, "ratios": ratios}
    table["variants"][0]["against_floor"] = found
    file.write_text(json.dumps(table))


def test_bench_keeps_its_result_and_compare_reads_it(lstm_copy, tmp_path):
    old, new, summary = (tmp_path / name for name in ("old.json", "new.json", "summary.md"))
    call("bench", lstm_copy, "--variant", "fp32", "-o", old, *QUICK)
    call("bench", lstm_copy, "--variant", "fp32", "-o", new, "--baseline", old, *QUICK)
    assert "one of the two was not measured in fresh processes" in call("compare", old, new).stdout
    call("compare", old, new, "--strict", code=3)
    with_floor(old, 3.5)
    with_floor(new, 3.52)
    assert "hot p50 vs old.json" in call("compare", old, new).stdout
    table = json.loads(call("compare", old, new, "--json").stdout)
    words = {item["promise"]: item["verdict"] for item in table["verdicts"]}
    assert words["hot p50 vs old.json"] == words["file vs old.json"] == "pass"
    with_floor(new, 3.9)
    result = call("compare", old, new, "--summary", summary, code=3)
    assert "new.json broke: fp32 hot p50 vs old.json" in result.stderr
    assert "### edgeseq compare" in summary.read_text()
    call("compare", old, new, "--margin", "20%")


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("90s", 90), ("1.5m", 90), ("2h", 7200)])
def test_times_as_people_write_them(text, seconds):
    from edgeseq.cli.kinds import SECONDS

    assert SECONDS.convert(text, None, None) == seconds


@pytest.mark.parametrize("option", [("--seconds", "soon"), ("--margin", "a lot")])
def test_what_is_no_number_is_refused(lstm_copy, option):
    assert "is not a" in call("bench", lstm_copy, *option, code=2).stderr


def test_bench_without_a_gpu_says_what_to_install(lstm_copy):
    result = call("bench", lstm_copy, "--provider", "cuda", code=1)
    assert 'pip install "edgeseq[cuda]"' in result.stderr


def test_inspect(lstm_bundle, tmp_path):
    table = json.loads(call("inspect", lstm_bundle.path / "model.onnx", "--json").stdout)
    assert [(pair["input"], pair["output"]) for pair in table["states"]][:1] == [("h0", "next_h0")]
    assert "\ndelay: none, " in call("inspect", lstm_bundle.path / "model.onnx").stdout
    model = onnx.load(lstm_bundle.path / "model.onnx")
    contract = lstm_bundle.variant().contract
    late = dataclasses.replace(contract, output=dataclasses.replace(contract.output, delay=5))
    write_contract(model, late)
    onnx.save(model, tmp_path / "late.onnx")
    assert "\ndelay: 5 frames (0.2 s), " in call("inspect", tmp_path / "late.onnx").stdout
    cut = tmp_path / "cut.onnx"
    cut.write_bytes((lstm_bundle.path / "model.onnx").read_bytes()[:1000])
    assert call("inspect", cut, code=1).stderr.startswith("Error: ")


def test_devices():
    assert "raspberry-pi-4" in call("devices").stdout
    assert "Cortex-A72" in call("devices", "raspberry-pi-4").stdout
    assert json.loads(call("devices", "--detect", "--json").stdout)["machine"]["cores"] >= 1
    result = call("devices", "raspbery-pi-4", code=2)
    assert 'Did you mean "raspberry-pi-4"?' in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check", "nowhere"], 1, "nowhere does not exist. Make a bundle with: edgeseq export"),
        (["export", "nowhere", "-o", "b"], 1, "nowhere holds no training run"),
        (["train", "hra", "-o", "r"], 2, 'no task "hra". Did you mean "har"?'),
        (["train", "no.toml", "-o", "r"], 2, "no file no.toml"),
        (["quantize", "nowhere"], 1, "nowhere does not exist"),
        (["train", "har", "-o", "r", "--fold", "9"], 2, "har has folds 0 to 4, not 9"),
    ],
)
def test_one_line_says_what_why_and_what_next(arguments, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments, code=code)
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert errors == result.stderr.splitlines()[-1:]
    assert errors[0].startswith(f"Error: {message}")


def test_missing_extra_is_one_line(lstm_bundle, monkeypatch):
    from edgeseq import extras

    def missing(module):
        raise MissingExtraError(module, "cpu")

    monkeypatch.setattr(extras, "require", missing)
    result = call("check", lstm_bundle.path, code=1)
    assert result.stderr == (
        "Error: this needs onnxruntime, which is not installed. "
        'Install it with: pip install "edgeseq[cpu]"\n'
    )


def test_train_without_torch(tmp_path):
    """The real thing: an interpreter in which torch cannot be imported."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from edgeseq.cli import main; main(['train', 'har', '-o', 'run'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: this needs torch, which is not installed. "
        'Install it with: pip install "edgeseq[train]"\n'
    )


def test_interrupt_is_130(walk, tmp_path, monkeypatch):
    from edgeseq.workflows import train

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", interrupted)
    result = call("train", walk, "-o", tmp_path / "run", code=130)
    assert "--resume" in result.stderr
