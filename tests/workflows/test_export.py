"""A run becomes a bundle that says what PyTorch says, or nothing is written at all."""

import dataclasses
import errno
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import random_checkpoint

from edgeseq import __version__
from edgeseq.bundle import SCHEMA, load_bundle
from edgeseq.check import check_bundle
from edgeseq.contract import METADATA_KEY
from edgeseq.errors import CheckpointError, EdgeseqError, PromiseError, UsageError
from edgeseq.export import recurrent, ring
from edgeseq.files import sha256
from edgeseq.models.hybrid import HybridSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.runtime import StreamSession
from edgeseq.tasks import load_task, restored_name
from edgeseq.train.checkpoint import load_checkpoint
from edgeseq.workflows import export
from edgeseq.workflows.export import ExportSettings, export_run
from edgeseq.workflows.producer import producer

FAMILIES = ["lstm", "gru", "transformer"]


@pytest.fixture
def bundle_of(lstm_bundle, gru_bundle, transformer_bundle):
    return {"lstm": lstm_bundle, "gru": gru_bundle, "transformer": transformer_bundle}


def snapshot(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def old(run_of, tmp_path):
    """A bundle from before, and a check that it is as it was and alone in its folder."""
    path = tmp_path / "exports" / "bundle"
    export_run(run_of["lstm"], path)
    before = snapshot(path)

    def untouched():
        load_bundle(path)
        assert snapshot(path) == before
        assert [file.name for file in path.parent.iterdir()] == ["bundle"]

    return path, untouched


@pytest.mark.parametrize("family", FAMILIES)
def test_reference_is_pytorchs_whole_sequence(family, bundle_of, run_of):
    bundle, model = bundle_of[family], load_checkpoint(run_of[family]).model
    reference = bundle.reference
    frames = torch.from_numpy(reference["frames"])[None]
    assert frames.shape == (1, 1024, 4)
    with torch.inference_mode():
        np.testing.assert_allclose(reference["outputs"], model(frames)[0].numpy(), atol=1e-6)
        state = {f"state.{name}": value for name, value in model.final_state(frames).items()}
    assert reference.keys() == {"frames", "outputs"} | state.keys()
    for name, value in state.items():
        np.testing.assert_allclose(reference[name], value.numpy(), atol=1e-6)
    assert bundle.manifest.reference.frames == 1024


@pytest.mark.parametrize("family", FAMILIES)
def test_reference_frames_are_real_and_unseen(family, bundle_of, walk):
    split = load_task(str(walk)).split(0)
    frames = bundle_of[family].reference["frames"]
    unseen = np.concatenate([recording.frames for recording in split.test])
    seen = {row.tobytes() for recording in split.train for row in recording.frames}
    real = {row.tobytes() for row in unseen}
    assert all(row.tobytes() in real for row in frames)
    assert not any(row.tobytes() in seen for row in frames)


@pytest.mark.parametrize("family", FAMILIES)
def test_final_state_goes_on_where_the_reference_ended(family, bundle_of):
    """The state in the reference is a state: set it, and the stream continues."""
    bundle = bundle_of[family]
    reference = bundle.reference
    more = reference["frames"][:50]
    for variant in bundle.manifest.variants:
        with StreamSession(bundle.path, variant=variant) as session:
            session.run(reference["frames"])
            expected = session.run(more)
            session.state = {
                name.removeprefix("state."): value
                for name, value in reference.items()
                if name.startswith("state.")
            }
            np.testing.assert_allclose(session.run(more), expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_manifest_tells_the_truth(family, bundle_of, run_of, walk):
    bundle = bundle_of[family]
    manifest = bundle.manifest
    assert manifest.name == f"walk-{family}"
    assert manifest.schema == SCHEMA
    assert manifest.producer == producer()
    assert manifest.preferred == "fp32"
    assert list(manifest.variants) == ["fp32", "step"]
    assert manifest.reference.sha256 == sha256(bundle.path / "reference.npz")
    assert manifest.reference.source.endswith("test recordings of fold 0")
    checkpoint = load_checkpoint(run_of[family])
    origin = manifest.origin
    assert restored_name(origin.task, bundle.path) == str(walk)
    assert not Path(origin.task).is_absolute()
    assert (origin.fold, origin.seed) == (0, 0)
    assert (origin.family, origin.parameters) == (family, checkpoint.parameters)
    assert {file.name for file in bundle.path.iterdir()} == {
        "manifest.json",
        "reference.npz",
        *(variant.file for variant in manifest.variants.values()),
    }


@pytest.mark.parametrize(
    ("family", "name", "file", "opset"),
    [
        ("lstm", "fp32", "model.onnx", 17),
        ("transformer", "fp32", "model.onnx", 17),
        ("transformer", "step", "model.step.onnx", 24),
    ],
)
def test_variant_tells_the_truth(family, name, file, opset, bundle_of):
    bundle = bundle_of[family]
    variant, path = bundle.variant(name), bundle.file(name)
    graph = onnx.load(path)
    assert variant.file == file
    assert variant.sha256 == sha256(path)
    assert variant.bytes == path.stat().st_size
    assert variant.opset == graph.opset_import[0].version == opset
    assert variant.operators == Counter(node.op_type for node in graph.graph.node)
    assert variant.precision == "fp32"
    metadata = {prop.key: prop.value for prop in graph.metadata_props}
    assert variant.contract == type(variant.contract).from_metadata(metadata, where=file)
    assert (variant.contract.producer, variant.contract.recipe) == (producer(), "streaming-fp32")
    assert variant.tolerance.relative_error == 1e-5
    assert variant.parity.steps == 10_000
    assert 0 < variant.parity.relative_error < 1e-5
    assert variant.parity.changed_decisions == 0
    assert len(variant.parity.drift) == 10


def test_baselines_stand_beside_and_are_on_the_same_windows(lstm_bundle):
    baselines = lstm_bundle.manifest.origin.baselines
    accuracy = lstm_bundle.variant().accuracy
    assert list(baselines) == ["majority class", "random forest"]
    assert baselines["majority class"].value == pytest.approx(100 / 3, abs=1e-4)
    assert baselines["random forest"].value > 90
    assert {score.count for score in (accuracy, *baselines.values())} == {36}
    assert {score.metric for score in (accuracy, *baselines.values())} == {accuracy.metric}


def test_accuracy_is_what_pytorch_scores(lstm_bundle, run_of, walk):
    model, task = load_checkpoint(run_of["lstm"]).model, load_task(str(walk))

    def forward(frames):
        with torch.inference_mode():
            return model(torch.from_numpy(frames)).numpy()

    score = task.score(forward, task.split(0).test)
    assert lstm_bundle.variant().accuracy.value == pytest.approx(score.value, abs=1e-4)


def test_progress_names_every_stage(run_of, tmp_path):
    said = []
    export_run(run_of["transformer"], tmp_path / "bundle", progress=said.append)
    assert said == [
        "reference",
        "fp32: 10,000 frames against PyTorch",
        "step: 10,000 frames against PyTorch",
        "baselines",
    ]


@pytest.mark.parametrize("form", ["step", "sequence"])
@pytest.mark.parametrize(
    ("family", "streams", "frames"),
    [
        ("lstm", 1, 1),
        ("transformer", 1, 1),
        ("lstm", 1, 7),  # does not divide the task's window of 25
        ("transformer", 1, 40),  # longer than it
        ("lstm", 1, 100),  # longer than what `run` gives to one call
        ("lstm", 3, 2),
    ],
)
def test_static_sizes(family, streams, frames, form, run_of, tmp_path):
    settings = ExportSettings(form=form, streams=streams, frames=frames)
    bundle = export_run(run_of[family], tmp_path / "bundle", settings)
    assert list(bundle.manifest.variants) == ["fp32"]
    variant = bundle.variant()
    contract = variant.contract
    assert (contract.streams, contract.chunk_min, contract.chunk_max) == (streams, frames, frames)
    assert variant.parity.steps == 10_000 // frames * frames
    assert (variant.accuracy is None) == (form == "sequence" and frames < 25)


@pytest.mark.parametrize("family", FAMILIES)
def test_sequence_form(family, run_of, bundle_of, tmp_path):
    bundle = export_run(run_of[family], tmp_path / "bundle", ExportSettings(form="sequence"))
    contract = bundle.variant().contract
    assert (contract.form, contract.states, contract.streams) == ("sequence", (), None)
    assert bundle.variant().accuracy == bundle_of[family].variant().accuracy
    assert bundle.variant().parity.steps == 10_000
    with StreamSession(bundle.path) as session:
        outputs = session.run(bundle.reference["frames"])
    np.testing.assert_allclose(outputs, bundle.reference["outputs"], atol=1e-5)


def test_more_static_frames_than_the_gate_has(run_of, tmp_path):
    settings = ExportSettings(streams=1, frames=12_345)
    bundle = export_run(run_of["lstm"], tmp_path / "bundle", settings)
    assert bundle.variant().parity.steps == 12_345
    assert bundle.manifest.reference.frames == 2 * 12_345, "a state is carried into a second call"


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_exported_passes_its_check(family, bundle_of):
    assert check_bundle(bundle_of[family]).ok


@pytest.mark.parametrize(
    "spec", [HybridSpec(width=8, feed_forward=8, heads=2, window=16), LSTMSpec(9, projection=4)]
)
def test_several_kinds_of_layers_are_exported_and_pass_the_check_too(spec, walk, tmp_path):
    random_checkpoint(spec, str(walk)).save(tmp_path / "run")
    bundle = export_run(tmp_path / "run", tmp_path / "bundle")
    assert {variant.parity.steps for variant in bundle.manifest.variants.values()} == {10_000}
    report = check_bundle(bundle)
    assert list(report.variants) == ["fp32", "step"]
    assert report.ok


GATE = r"the fp32 graph differs from PyTorch by \d\.\de[-+]\d\d of the outputs' RMS at frame \d+ "


def test_wrong_gates_are_stopped_and_nothing_is_written(old, run_of, monkeypatch):
    path, untouched = old
    monkeypatch.setitem(recurrent._KINDS, "LSTM", ("LSTM", "hc", (0, 1, 2, 3)))
    with pytest.raises(PromiseError, match=GATE) as caught:
        export_run(run_of["lstm"], path)
    assert str(caught.value).endswith("(limit 1e-05); nothing was written")
    assert caught.value.exit_code == 3
    untouched()


def test_a_ring_that_forgets_too_early_is_stopped(run_of, monkeypatch, tmp_path):
    """Off by one frame at the far end of the window: small, and only after W frames."""
    monkeypatch.setattr(ring.AnyChunk, "_ring_offsets", forget_oldest(ring.AnyChunk._ring_offsets))
    with pytest.raises(PromiseError, match=GATE):
        export_run(run_of["transformer"], tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def forget_oldest(ring_offsets):
    def shifted(self):
        return self.graph.op("Sub", ring_offsets(self), self.graph.constant(1))

    return shifted


def test_nan_does_not_pass_the_gate(run_of, monkeypatch, tmp_path):
    nan = lambda loaded, frames: np.full((*frames.shape[:2], 3), np.nan, np.float32)  # noqa: E731
    monkeypatch.setattr(export, "frame_by_frame", nan)
    with pytest.raises(PromiseError):
        export_run(run_of["lstm"], tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_second_variant_is_gated_too(run_of, monkeypatch, tmp_path):
    monkeypatch.setattr(ring.OneFrame, "angles", lambda self: tuple(reversed(rotary(self))))
    with pytest.raises(PromiseError, match="the step graph differs from PyTorch"):
        export_run(run_of["transformer"], tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


rotary = ring.OneFrame.angles


@pytest.mark.parametrize(
    "at", ["swap", *(pytest.param(at, marks=pytest.mark.slow) for at in ("gate", "manifest"))]
)
def test_kill_9_leaves_the_old_bundle(at, old, run_of):
    path, _ = old
    before = snapshot(path)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(run_of["lstm"]), str(path), at],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    load_bundle(path)
    assert snapshot(path) == before
    export_run(run_of["lstm"], path)  # what the kill left behind is in nobody's way
    assert [file.name for file in path.parent.iterdir()] == ["bundle"]


KILLED = """
import os, signal, sys
from pathlib import Path
from edgeseq import files
from edgeseq.workflows import export

run, out, at = sys.argv[1:]
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

export.baselines = lambda *_: {}
if at == "gate":
    export._Export._gate = die
if at == "manifest":
    export.write_manifest = die
if at == "swap":  # the old bundle has been moved away, the new one is not in its place
    rename, names = Path.rename, []
    def second(self, target):
        names.append(target)
        return rename(self, target) if len(names) == 1 else die()
    Path.rename = second
export.export_run(Path(run), Path(out))
"""


@pytest.mark.parametrize("call", ["fsync", "mkdir"])
def test_disk_full_is_one_line_and_loses_nothing(call, old, run_of, monkeypatch):
    path, untouched = old

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(EdgeseqError) as caught:
        export_run(run_of["lstm"], path)
    monkeypatch.undo()
    message = str(caught.value)
    assert message.startswith("cannot write ")
    assert "No space left on device. Nothing that was there is lost" in message
    assert len(message.splitlines()) == 1
    untouched()


def test_interrupt_loses_nothing(old, run_of, monkeypatch):
    path, untouched = old

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export._Export, "_gate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_run(run_of["lstm"], path)
    untouched()


def test_no_run_is_no_bundle(old, tmp_path):
    path, untouched = old
    with pytest.raises(CheckpointError, match="holds no training run"):
        export_run(tmp_path / "nowhere", path)
    untouched()


def test_a_recipe_of_the_users_own(run_of, tmp_path):
    recipe = tmp_path / "strict.toml"
    recipe.write_text(
        'name = "strict"\nsummary = "few steps"\ngate_steps = 300\n'
        "[tolerance]\nrelative_error = 2e-5\nnoise = 2e-5\n"
    )
    settings = ExportSettings(recipe=str(recipe))
    variant = export_run(run_of["lstm"], tmp_path / "bundle", settings).variant()
    assert variant.contract.recipe == "strict", "a path of this machine is nobody's business"
    assert variant.parity.steps == 300
    assert variant.tolerance.relative_error == 2e-5


def test_a_recipe_that_quantizes_is_refused(run_of, tmp_path):
    with pytest.raises(UsageError) as caught:
        export_run(run_of["lstm"], tmp_path / "bundle", ExportSettings(recipe="int8-dynamic"))
    assert str(caught.value) == (
        'the recipe "int8-dynamic" quantizes a bundle that is there; export first, then: '
        "edgeseq quantize BUNDLE --recipe int8-dynamic"
    )
    assert not (tmp_path / "bundle").exists()


def test_normalisation_that_matters_survives(walk, tmp_path):
    """Constants far from 0 and 1 on both sides, through the real gate."""
    checkpoint = random_checkpoint(LSTMSpec(hidden=4, layers=1), str(walk))
    checkpoint.model.output_mean.copy_(torch.tensor([50.0, -3.0, 0.5]))
    checkpoint.model.output_std.copy_(torch.tensor([10.0, 0.1, 2.0]))
    checkpoint.save(tmp_path / "run")
    bundle = export_run(tmp_path / "run", tmp_path / "bundle")
    assert bundle.variant().parity.relative_error < 1e-5
    assert abs(bundle.reference["outputs"][:, 0].mean() - 50) < 10


def test_contract_key_is_the_documented_one(lstm_bundle):
    keys = [prop.key for prop in onnx.load(lstm_bundle.file()).metadata_props]
    assert keys == [METADATA_KEY] == ["edgeseq.contract"]


def test_producer_names_the_version():
    assert producer().startswith(f"edgeseq {__version__}")


def test_producer_without_git(monkeypatch):
    def absent(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert producer.__wrapped__() == f"edgeseq {__version__}"


def test_producer_inside_somebody_elses_repository(monkeypatch, tmp_path):
    """Installed in another project's environment, that project's commit says nothing."""
    import edgeseq

    monkeypatch.setattr(edgeseq, "__file__", str(tmp_path / "edgeseq" / "__init__.py"))
    assert producer.__wrapped__() == f"edgeseq {__version__}"


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ExportSettings().form = "sequence"
