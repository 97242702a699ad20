"""A bundle gains judged int8 twins, or stays what it was."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeseq.bench.latency import HotSettings
from edgeseq.bundle import Bundle, load_bundle, write_manifest
from edgeseq.check import check_bundle
from edgeseq.errors import BundleError, EdgeseqError, PromiseError, UsageError
from edgeseq.recipes import PRECISIONS, load_recipe
from edgeseq.runtime import StreamModel, StreamSession
from edgeseq.runtime.predict import is_stepped
from edgeseq.tasks import load_task
from edgeseq.workflows import quantize
from edgeseq.workflows.evidence import Original, frame_by_frame, gather, never_reset
from edgeseq.workflows.export import ExportSettings, export_run
from edgeseq.workflows.producer import producer
from edgeseq.workflows.quantize import fp32_name, quantize_bundle, twin_name

QUICK = HotSettings(rounds=2, block=20)


@pytest.fixture(scope="module")
def quantized(lstm_bundle, tmp_path_factory) -> Bundle:
    folder = copy(lstm_bundle, tmp_path_factory.mktemp("quantized"))
    (folder / "NOTES.txt").write_text("kept")
    return quantize_bundle(folder, hot=QUICK)


@pytest.fixture
def lstm(lstm_bundle, tmp_path) -> Path:
    return copy(lstm_bundle, tmp_path)


def copy(bundle: Bundle, folder: Path) -> Path:
    return Path(shutil.copytree(bundle.path, folder / "bundle"))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_twin_is_described_in_full(quantized, lstm_bundle):
    fp32, int8 = quantized.variant("fp32"), quantized.variant("int8")
    assert list(quantized.manifest.variants) == ["fp32", "int8", "step", "step-int8"]
    assert (int8.file, int8.precision, int8.opset) == ("model.int8.onnx", "int8", fp32.opset)
    assert int8.bytes == quantized.file("int8").stat().st_size < fp32.bytes
    assert int8.operators["DynamicQuantizeLSTM"] == 2
    assert int8.census.int8_weights == 1
    assert int8.tolerance == load_recipe("int8-dynamic").tolerance
    assert int8.session == fp32.session
    assert int8.contract == replace(
        lstm_bundle.variant("fp32").contract, recipe="int8-dynamic", producer=producer()
    )


def test_fp32_and_the_rest_of_the_bundle_stay(quantized, lstm_bundle):
    before, after = snapshot(lstm_bundle.path), snapshot(quantized.path)
    assert after["model.onnx"] == before["model.onnx"]
    assert after["reference.npz"] == before["reference.npz"]
    assert after["NOTES.txt"] == b"kept"
    old, new = lstm_bundle.variant("fp32"), quantized.variant("fp32")
    assert new == replace(old, accuracy=new.accuracy, latency=new.latency)
    assert new.accuracy.value == pytest.approx(old.accuracy.value)


def test_twin_streams_from_the_bundle(quantized):
    frames = quantized.reference["frames"][:50]
    outputs = {}
    for name in ("fp32", "int8"):
        with StreamSession(quantized.path, variant=name) as session:
            outputs[name] = np.stack([session.step(frame) for frame in frames])
    error = np.abs(outputs["int8"] - outputs["fp32"]).max()
    assert 0 < error < 0.2 * np.sqrt(np.mean(outputs["fp32"] ** 2))


def test_drift_accuracy_and_latency_are_measured(quantized):
    fp32, int8 = quantized.variant("fp32"), quantized.variant("int8")
    assert int8.parity.steps == 10_000
    assert 1e-4 < int8.parity.relative_error < int8.tolerance.relative_error
    assert len(int8.parity.drift) == 10
    assert int8.accuracy.count == fp32.accuracy.count > 0
    assert int8.accuracy.metric == "window accuracy %"
    assert int8.latency.fp32_median_us == fp32.latency.median_us > 0
    assert fp32.latency.fp32_median_us == fp32.latency.median_us
    assert fp32.paired is None
    lost, drop = int8.paired, fp32.accuracy.value - int8.accuracy.value
    assert lost.drop == pytest.approx(drop, abs=1e-4)
    assert lost.low <= lost.drop <= lost.high
    assert (lost.count, lost.unit) == (int8.accuracy.count, "points")


def test_choice_is_recorded_with_its_numbers(quantized):
    manifest = quantized.manifest
    assert manifest.preferred in ("fp32", "int8")
    assert f"{manifest.variants['int8'].latency.median_us:.1f} µs" in manifest.preferred_because


def test_both_transformer_graphs_get_a_twin(transformer_bundle, tmp_path):
    said: list[str] = []
    bundle = quantize_bundle(
        copy(transformer_bundle, tmp_path), accuracy=False, hot=QUICK, progress=said.append
    )
    assert list(bundle.manifest.variants) == ["fp32", "int8", "step", "step-int8"]
    assert bundle.variant("step-int8").file == "model.step-int8.onnx"
    step, twin = bundle.variant("step"), bundle.variant("step-int8")
    assert twin.latency.fp32_median_us == step.latency.median_us
    assert twin.contract.min_onnxruntime == step.contract.min_onnxruntime
    assert bundle.manifest.preferred_because.startswith("int8 is")
    assert any(line.startswith("step → step-int8") for line in said)


def test_again_gives_the_same_variants(quantized, tmp_path):
    again = quantize_bundle(copy(quantized, tmp_path), accuracy=False, hot=QUICK)
    assert list(again.manifest.variants) == ["fp32", "int8", "step", "step-int8"]
    assert again.variant("int8").sha256 == quantized.variant("int8").sha256


def test_a_preferred_int8_is_judged_anew(quantized, tmp_path):
    folder = copy(quantized, tmp_path)
    write_manifest(folder, replace(quantized.manifest, preferred="int8"))
    assert quantize_bundle(folder, accuracy=False, hot=QUICK).manifest.preferred == "fp32"


def test_without_accuracy_int8_is_written_but_not_preferred(lstm):
    bundle = quantize_bundle(lstm, accuracy=False, hot=QUICK)
    assert bundle.variant("int8").accuracy is bundle.variant("int8").paired is None
    assert bundle.manifest.preferred == "fp32"
    assert "of unknown accuracy (it was not asked for)" in bundle.manifest.preferred_because
    assert bundle.variant("int8").parity.steps == len(bundle.reference["frames"])


def test_data_that_has_moved_is_said_and_does_not_stop_it(lstm):
    bundle = load_bundle(lstm)
    origin = replace(bundle.manifest.origin, task="/nowhere/gone.toml")
    write_manifest(lstm, replace(bundle.manifest, origin=origin))
    bundle = quantize_bundle(lstm, hot=QUICK)
    assert bundle.manifest.preferred == "fp32"
    assert "of unknown accuracy (" in bundle.manifest.preferred_because
    assert "gone.toml" in bundle.manifest.preferred_because
    assert "\n" not in bundle.manifest.preferred_because
    assert bundle.variant("fp32").accuracy == load_bundle(lstm).variant("fp32").accuracy


def test_a_task_that_was_asked_for_must_be_there(lstm):
    before = snapshot(lstm)
    with pytest.raises(EdgeseqError, match=r"gone\.toml"):
        quantize_bundle(lstm, task="/nowhere/gone.toml")
    with pytest.raises(UsageError, match='no task "hra"'):
        quantize_bundle(lstm, task="hra")
    assert snapshot(lstm) == before


def test_a_task_with_other_frames_is_refused(lstm_bundle, walk):
    with pytest.raises(UsageError, match="judge it on the task it was trained on"):
        gather(lstm_bundle, 100, task=_OtherFrames(load_task(str(walk))))


def test_the_task_is_found_from_any_directory(lstm_bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gather(lstm_bundle, 100).missing == ""


def test_the_two_sides_of_a_split_are_different_people(lstm_bundle):
    test, validation = (gather(lstm_bundle, 500, side=side) for side in ("test", "validation"))
    split = test.task.split(0)
    names = [[item.name for item in one.recordings] for one in (test, validation)]
    assert names == [[item.name for item in side] for side in (split.test, split.validation)]
    assert set(names[0]).isdisjoint(names[1])
    assert len(validation.frames) == 500
    again = gather(lstm_bundle, 500, side="validation", seed=1)
    assert not np.array_equal(again.frames, validation.frames)


def test_an_original_answers_once_for_all_of_its_twins(quantized, monkeypatch):
    model, twin = (StreamModel.load(quantized.path, variant=name) for name in ("fp32", "int8"))
    evidence = gather(quantized, 200)
    asked: list[str] = []

    def spy(asked_of: StreamModel, frames: np.ndarray) -> np.ndarray:
        asked.append("fp32" if asked_of is model else "int8")
        return frame_by_frame(asked_of, frames)

    monkeypatch.setattr("edgeseq.workflows.evidence.frame_by_frame", spy)
    original = Original(model, evidence)
    first, second = original.judge(twin), original.judge(twin, by_frame=True)
    assert (first.parity, first.accuracy) == (second.parity, second.accuracy)
    assert first.paired.count == first.accuracy.count
    assert second.paired.count == 25 * first.paired.count  # frames of a window
    assert asked.count("fp32") == 3  # the stream, windows, frames
    assert asked.count("int8") == 2 + 3


class _OtherFrames:
    """A task whose sensor has one channel more."""

    def __init__(self, task) -> None:
        self._task = task
        self.frame = replace(task.frame, channels=("x", *task.frame.channels))

    def __getattr__(self, name: str):
        return getattr(self._task, name)


@pytest.mark.parametrize("max_drop", [0.0, 1e-9])
def test_max_drop_of_the_caller_goes_before_the_recipes(lstm, max_drop):
    because = quantize_bundle(lstm, max_drop=max_drop, hot=QUICK).manifest.preferred_because
    assert f"max {max_drop:g}" in because


def test_int8_in_name_only_leaves_the_old_bundle(lstm, tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "export/recipes/int8-dynamic.toml").read_text()
    recipe = tmp_path / "heads.toml"
    text = text.replace('"int8-dynamic"', '"heads"')
    recipe.write_text(text + '[quantize.nodes]\n"[WR]*" = "fp32"\n')
    before = snapshot(lstm)
    with pytest.raises(PromiseError, match="in name only"):
        quantize_bundle(lstm, recipe, hot=QUICK)
    assert snapshot(lstm) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bundle", "heads.toml"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_the_old_bundle(lstm, tmp_path, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    before = snapshot(lstm)
    monkeypatch.setattr(quantize, "write_manifest", fail)
    with pytest.raises((EdgeseqError, KeyboardInterrupt)):
        quantize_bundle(lstm, accuracy=False, hot=QUICK)
    assert snapshot(lstm) == before
    assert load_bundle(lstm).manifest.preferred == "fp32"
    assert [item.name for item in tmp_path.iterdir()] == ["bundle"]


def test_wrong_names_are_refused_before_any_work(lstm, tmp_path):
    with pytest.raises(UsageError, match="does not quantize"):
        quantize_bundle(lstm, "streaming-fp32")
    with pytest.raises(BundleError, match="does not exist"):
        quantize_bundle(tmp_path / "absent")


def test_bundle_without_fp32_cannot_be_quantized(quantized, tmp_path):
    folder = copy(quantized, tmp_path)
    only = {"int8": quantized.variant("int8")}
    write_manifest(folder, replace(quantized.manifest, variants=only, preferred="int8"))
    with pytest.raises(BundleError, match="no fp32 variant"):
        quantize_bundle(folder)


def test_names_of_twins():
    for precision in PRECISIONS:
        names = [twin_name(name, precision) for name in ("fp32", "step")]
        assert names == [precision, f"step-{precision}"]
        assert [fp32_name(name) for name in names] == ["fp32", "step"]
    assert [fp32_name(name) for name in ("fp32", "step")] == ["fp32", "step"]


def test_fp16_twins_stand_beside_int8(quantized, tmp_path):
    bundle = quantize_bundle(copy(quantized, tmp_path), "fp16", hot=QUICK)
    twins = ["fp32", "fp16", "step", "step-fp16"]
    assert list(bundle.manifest.variants) == [*twins, "int8", "step-int8"]
    fp32, fp16 = bundle.variant("fp32"), bundle.variant("fp16")
    assert (fp16.file, fp16.precision, fp16.census) == ("model.fp16.onnx", "fp16", None)
    assert fp16.bytes == bundle.file("fp16").stat().st_size < fp32.bytes
    assert fp16.tolerance == load_recipe("fp16").tolerance
    assert fp16.contract == replace(fp32.contract, recipe="fp16", producer=producer())
    assert fp16.parity.steps == 10_000
    assert 1e-6 < fp16.parity.relative_error < fp16.tolerance.relative_error
    assert abs(fp16.accuracy.value - fp32.accuracy.value) < 0.5
    assert fp16.latency.fp32_median_us == fp32.latency.median_us
    assert bundle.variant("int8") == quantized.variant("int8")
    assert bundle.file("int8").read_bytes() == quantized.file("int8").read_bytes()
    # ... and again the other way round.
    again = quantize_bundle(bundle.path, hot=QUICK, accuracy=False)
    twins = ["fp32", "int8", "step", "step-int8"]
    assert list(again.manifest.variants) == [*twins, "fp16", "step-fp16"]
    assert again.variant("fp16") == fp16


def test_mixed_and_int4_twins_stand_beside_int8(quantized, tmp_path):
    folder = copy(quantized, tmp_path)
    for recipe, precision, oldest in (
        ("mixed", "mixed", "1.22.0"),
        ("int4-weights", "int4", "1.19.0"),
    ):
        bundle = quantize_bundle(folder, recipe, accuracy=False, hot=QUICK)
        twin = bundle.variant(precision)
        assert (twin.file, twin.precision) == (f"model.{precision}.onnx", precision)
        assert twin.bytes == bundle.file(precision).stat().st_size
        assert twin.census.int8_weights == 1
        assert twin.census.operators["MatMulNBits"] == 5
        assert (twin.contract.recipe, twin.contract.min_onnxruntime) == (recipe, oldest)
        assert twin.tolerance == load_recipe(recipe).tolerance
        assert twin.parity.noise > quantized.variant("int8").parity.noise
        assert twin.latency.fp32_median_us == bundle.variant("fp32").latency.median_us
        assert bundle.manifest.preferred_because.startswith(f"{precision} is ")
        findings = check_bundle(bundle, [precision]).variants[precision]
        assert findings[-1].promise == "census"
        broken = {item.promise for item in findings if item.status == "broken"}
        assert broken <= {"decisions"}, "a model that learned nothing decides by a hair"
    forms = {"fp32", "int8", "mixed", "int4"}
    assert set(bundle.manifest.variants) == forms | {"step", "step-int8", "step-mixed", "step-int4"}


@pytest.mark.parametrize(
    ("variant", "option"),
    [("int4", " --recipe int4-weights"), ("step-mixed", " --recipe mixed"), ("int8", "")],
)
def test_a_missing_twin_says_how_to_make_it(lstm_bundle, variant, option):
    with pytest.raises(BundleError, match=rf"Make it with: edgeseq quantize BUNDLE{option}$"):
        lstm_bundle.variant(variant)


@pytest.mark.parametrize(("preferred", "recipe"), [("int8", "fp16"), ("fp16", "int8-dynamic")])
def test_a_preferred_twin_of_another_precision_stays(quantized, tmp_path, preferred, recipe):
    folder = quantize_bundle(copy(quantized, tmp_path), "fp16", accuracy=False, hot=QUICK).path
    manifest = load_bundle(folder).manifest
    write_manifest(folder, replace(manifest, preferred=preferred, preferred_because="so it was"))
    after = quantize_bundle(folder, recipe, accuracy=False, hot=QUICK).manifest
    assert (after.preferred, after.preferred_because) == (preferred, "so it was")


def test_both_transformer_graphs_are_halved(transformer_bundle, tmp_path):
    bundle = quantize_bundle(copy(transformer_bundle, tmp_path), "fp16", accuracy=False, hot=QUICK)
    assert list(bundle.manifest.variants) == ["fp32", "fp16", "step", "step-fp16"]
    assert bundle.variant("step-fp16").file == "model.step-fp16.onnx"
    assert bundle.manifest.preferred == "fp32"
    assert bundle.manifest.preferred_because.startswith("fp16 is")


def test_a_missing_fp16_says_how_to_make_it(lstm_bundle):
    with pytest.raises(BundleError, match="edgeseq quantize BUNDLE --recipe fp16"):
        lstm_bundle.variant("fp16")


def test_halved_bundles_pass_check(lstm, transformer_bundle, tmp_path):
    (tmp_path / "other").mkdir()
    for folder in (lstm, copy(transformer_bundle, tmp_path / "other")):
        bundle = quantize_bundle(folder, "fp16", accuracy=False, hot=QUICK)
        halved = [name for name in bundle.manifest.variants if "fp16" in name]
        report = check_bundle(bundle, halved)
        assert report.ok, report


def test_frame_by_frame_is_the_apps_stream(quantized):
    """In a batch, one loud stream sets the scale for all: int8 then answers otherwise."""
    from edgeseq.runtime import predict

    model = StreamModel.load(quantized.path, variant="int8")
    frames = np.stack([quantized.reference["frames"][:30], quantized.reference["frames"][:30] * 50])
    alone = frame_by_frame(model, frames[:1])
    both = frame_by_frame(model, frames)
    np.testing.assert_array_equal(both[:1], alone)
    np.testing.assert_array_equal(both[1:], frame_by_frame(model, frames[1:]))
    assert np.abs(predict(model, frames)[:1] - alone).max() > 1e-3
    assert alone.shape == (1, 30, len(model.contract.output.labels))


def test_graphs_that_cannot_be_stepped_are_fed_as_they_take_it(quantized):
    contract = quantized.variant("fp32").contract
    assert is_stepped(contract)
    assert not is_stepped(replace(contract, form="sequence"))
    assert not is_stepped(replace(contract, chunk_min=4, chunk_max=4))
    assert not is_stepped(replace(contract, streams=2))


@pytest.mark.parametrize("frames", [None, 25])
def test_graphs_without_state_are_compared_in_sequences(run_of, tmp_path, frames):
    settings = ExportSettings(form="sequence", frames=frames)
    export_run(run_of["lstm"], tmp_path / "bundle", settings)
    int8 = quantize_bundle(tmp_path / "bundle", hot=QUICK).variant("int8")
    assert int8.parity.steps == 10_000
    assert 0 < int8.parity.relative_error < 0.2
    assert int8.latency is None


def test_a_stream_that_is_never_reset_goes_on_from_call_to_call(quantized):

    model = StreamModel.load(quantized.path, variant="int8")
    frames = np.ascontiguousarray(quantized.reference["frames"][:40], np.float32)
    predict = never_reset(model, frames[:10])
    found = np.concatenate(
        [predict(frames[10:30].reshape(2, 10, -1)), predict(frames[None, 30:40])]
    )
    with StreamSession(model) as session:
        expected = np.stack([session.step(frame) for frame in frames])[10:]
    np.testing.assert_array_equal(found.reshape(30, -1), expected)
