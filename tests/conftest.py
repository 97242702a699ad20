"""What many tests share: a small task, and bundles of tiny models."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from edgeseq.bundle import Bundle
from edgeseq.models import SequenceModel, Spec
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.tasks import load_task
from edgeseq.train.checkpoint import Checkpoint
from edgeseq.train.settings import FitSettings
from edgeseq.workflows.export import export_run

# CI tries the same examples each time, so that a failure there is the change's; at home
# every run tries others. Nowhere is a test a matter of time: machines are shared.
settings.register_profile("home", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "home")

TINY = {
    "lstm": LSTMSpec(hidden=12),
    "gru": GRUSpec(hidden=12),
    "transformer": TransformerSpec(width=16, feed_forward=24, heads=2, window=16),
    "cnn": CNNSpec(channels=8, window=10),
    "encoder-decoder": EncoderDecoderSpec(width=16, feed_forward=24, source=6, heads=2, window=16),
}
"""Small enough to export in a second, two layers so that state crosses between them."""


GAITS = ("slow", "walk", "run")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite golden files; review the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the committed file `golden/NAME` beside the test module."""

    def compare(name: str, text: str) -> None:
        file = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert text == file.read_text(), "if that is meant: pytest --update-golden"

    return compare


def pytest_report_header() -> str:
    import onnx
    import onnxruntime

    versions = (torch.__version__, onnx.__version__, onnxruntime.__version__)
    return "torch {}, onnx {}, onnxruntime {}".format(*versions)


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task of the user's own: three classes of a noisy two-channel oscillation."""
    folder = tmp_path_factory.mktemp("walk")
    rng = np.random.default_rng(0)
    for subject in range(6):
        for label, speed in enumerate((0.2, 0.5, 1.1)):
            phase = np.arange(600) * speed * rng.uniform(0.9, 1.1) + rng.uniform(0, 6)
            signal = np.stack([np.sin(phase), np.cos(phase)], axis=1) * 9.8 + 3
            noisy = signal + rng.normal(0, 1, signal.shape)
            rows = "".join(f"{a:.4f},{b:.4f},{GAITS[label]}\n" for a, b in noisy)
            (folder / f"s{subject}_{label}.csv").write_text("ax,ay,gait\n" + rows)
    toml = folder / "walk.toml"
    toml.write_text(WALK)
    return toml


WALK = """\
files = ["*.csv"]
rate_hz = 50
samples_per_frame = 2
inputs = { ax = "m/s2", ay = "m/s2" }
label = "gait"
classes = ["slow", "walk", "run"]
subject = 'file:(s\\d)_'
window_s = 1.0
"""


def random_checkpoint(spec: Spec, task_name: str, seed: int = 0) -> Checkpoint:
    """A run that was never trained: random weights, real normalisation constants."""
    task = load_task(task_name)
    torch.manual_seed(seed)
    model = SequenceModel(
        spec, task.frame.size, len(task.output.labels), task.output.residual_of
    ).eval()
    frames = np.concatenate([recording.frames for recording in task.split(0).train])
    model.input_mean.copy_(torch.from_numpy(frames.mean(axis=0)))
    model.input_std.copy_(torch.from_numpy(frames.std(axis=0)))
    return Checkpoint(model=model, task=task_name, settings=FitSettings(seed=seed), scores={})


@pytest.fixture(scope="session")
def run_of(walk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run directory by family, on the task `walk`."""
    runs = {}
    for family, spec in TINY.items():
        runs[family] = tmp_path_factory.mktemp("runs") / family
        random_checkpoint(spec, str(walk)).save(runs[family])
    return runs


def _bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_run(run, tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(scope="session")
def lstm_bundle(run_of: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that tests may read, never change."""
    return _bundle(run_of["lstm"], tmp_path_factory)


@pytest.fixture(scope="session")
def gru_bundle(run_of: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that tests may read, never change."""
    return _bundle(run_of["gru"], tmp_path_factory)


@pytest.fixture(scope="session")
def transformer_bundle(run_of: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that tests may read, never change."""
    return _bundle(run_of["transformer"], tmp_path_factory)


@pytest.fixture(scope="session")
def cnn_bundle(run_of: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that tests may read, never change."""
    return _bundle(run_of["cnn"], tmp_path_factory)
