import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from train.toy import Foretell, Waves

from edgeseq.errors import CheckpointError, EdgeseqError, ProviderError
from edgeseq.models.cnn import CNNSpec
from edgeseq.models.encoder import EncoderSpec
from edgeseq.models.encoder_decoder import EncoderDecoderSpec
from edgeseq.models.gru import GRUSpec
from edgeseq.models.hybrid import HybridSpec
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.models.vit import ViTSpec
from edgeseq.train import FitSettings, fit, load_checkpoint, predictor

SPECS = {
    "lstm": LSTMSpec(6),
    "gru": GRUSpec(6),
    "hybrid": HybridSpec(8, 8, heads=2, window=16),
    "transformer": TransformerSpec(16, 16, heads=2, window=16),
    "encoder-decoder": EncoderDecoderSpec(16, 16, source=5, heads=2, window=16),
    "encoder": EncoderSpec(16, 16, heads=2, window=10),
    "vit": ViTSpec(16, 16, heads=2, window=10, patch=2),
    "cnn": CNNSpec(12, window=10),
}
QUICK = ("lstm", "transformer", "cnn")
"""One of each kind; the others are trained where there is time."""
FAMILIES = [
    family if family in QUICK else pytest.param(family, marks=pytest.mark.slow) for family in SPECS
]
SETTINGS = FitSettings(steps=24, batch=8, crop=12, evaluate_every=4, patience=100)
RESUME = "resume.safetensors"


def bits(checkpoint):
    state = checkpoint.model.state_dict()
    return b"".join(state[name].numpy().tobytes() for name in sorted(state))


def stop_at(stop, error=KeyboardInterrupt):
    def progress(step, *_):
        if step == stop:
            raise error

    return progress


@pytest.mark.parametrize("family", FAMILIES)
def test_waves_are_learned_by_people_never_seen(family, tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=150, batch=32, lr=1e-2, crop=20)
    checkpoint = fit(Waves(), SPECS[family], settings, tmp_path)
    assert checkpoint.scores["test"].value > 95
    assert checkpoint.scores["validation"].value > 95
    assert checkpoint.history[-1].train_loss < checkpoint.history[0].train_loss / 2
    loaded = load_checkpoint(tmp_path)
    again = Waves().score(predictor(loaded.model), Waves().split().test)
    assert again == checkpoint.scores["test"]
    assert bits(loaded) == bits(checkpoint)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forecast_beats_persistence_by_far(family, tmp_path):
    task = Foretell()
    settings = dataclasses.replace(SETTINGS, steps=200, batch=32, lr=1e-2, crop=40)
    checkpoint = fit(task, SPECS[family], settings, tmp_path)
    persistence = task.score(lambda frames: frames[..., :1], task.split().test)
    assert checkpoint.scores["test"].value < persistence.value / 3
    assert checkpoint.model.residual_of == 0
    assert checkpoint.model.output_std.item() > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(family, tmp_path):
    first = fit(Waves(), SPECS[family], SETTINGS, tmp_path / "a")
    torch.rand(5)  # whatever else happened in the process
    np.random.default_rng(3).random()
    again = fit(Waves(), SPECS[family], SETTINGS, tmp_path / "b")
    other = fit(Waves(), SPECS[family], dataclasses.replace(SETTINGS, seed=1), tmp_path / "c")
    assert bits(first) == bits(again)
    assert first.history == again.history
    assert bits(first) != bits(other)


@pytest.mark.parametrize("stop", [1, 4, 10, 23])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_interrupted_run_goes_on_to_the_same_bits(family, stop, tmp_path):
    whole = fit(Waves(), SPECS[family], SETTINGS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(Waves(), SPECS[family], SETTINGS, tmp_path / "cut", progress=stop_at(stop))
    assert (tmp_path / "cut" / RESUME).exists() == (stop >= 4)
    steps = []
    resumed = fit(
        Waves(),
        SPECS[family],
        SETTINGS,
        tmp_path / "cut",
        resume=True,
        progress=lambda step, *_: steps.append(step),
    )
    assert steps[0] == stop // 4 * 4 + 1  # from the last look, not from the start
    assert bits(resumed) == bits(whole)
    assert resumed.history == whole.history
    assert resumed.best_step == whole.best_step
    assert not (tmp_path / "cut" / RESUME).exists()


def test_phases_are_drawn_again_as_they_were(tmp_path):
    """Absolute positions start at random phases in training; a resumed run draws the same."""
    spec = dataclasses.replace(SPECS["transformer"], positions="learned")
    whole = fit(Waves(), spec, SETTINGS, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(Waves(), spec, SETTINGS, tmp_path / "cut", progress=stop_at(10))
    resumed = fit(Waves(), spec, SETTINGS, tmp_path / "cut", resume=True)
    assert bits(resumed) == bits(whole)
    assert resumed.history == whole.history


def test_a_finished_run_is_returned_as_it_is(tmp_path):
    first = fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path)
    again = fit(
        Waves(), SPECS["lstm"], SETTINGS, tmp_path, resume=True, progress=stop_at(1, AssertionError)
    )
    assert bits(first) == bits(again)


@pytest.mark.parametrize("stop", [10, None])
def test_a_run_goes_on_only_as_what_it_was(stop, tmp_path):
    with contextlib.suppress(KeyboardInterrupt):
        fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path, progress=stop_at(stop))
    changed = dataclasses.replace(SETTINGS, lr=0.5)
    with pytest.raises(CheckpointError) as error:
        fit(Foretell(), LSTMSpec(7), changed, tmp_path, resume=True)
    for difference in (
        "task = waves, not foretell",
        "spec.hidden = 6, not 7",
        "settings.lr = 0.004, not 0.5",
    ):
        assert difference in str(error.value)


def test_an_older_run_stays_until_the_new_one_is_finished(tmp_path):
    old = fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path)
    changed = dataclasses.replace(SETTINGS, seed=9)
    with pytest.raises(KeyboardInterrupt):
        fit(Waves(), SPECS["lstm"], changed, tmp_path, progress=stop_at(10))
    assert bits(load_checkpoint(tmp_path)) == bits(old)
    new = fit(Waves(), SPECS["lstm"], changed, tmp_path, resume=True)
    assert bits(load_checkpoint(tmp_path)) == bits(new) != bits(old)


def test_a_damaged_resume_state_is_one_line(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path, progress=stop_at(10))
    path = tmp_path / RESUME
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"it is damaged.*Train again without") as error:
        fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path, resume=True)
    assert "\n" not in str(error.value)


CHILD = """
import dataclasses, pathlib, sys
from edgeseq.train import fit
from train.test_fit import SETTINGS, SPECS
from train.toy import Waves
fit(Waves(), SPECS["lstm"], SETTINGS, pathlib.Path(sys.argv[1]),
    progress=lambda step, *_: print(step, flush=True))
"""


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "killed"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        for line in child.stdout:
            if int(line) >= 6:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / RESUME).exists()
    resumed = fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path / "killed", resume=True)
    whole = fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path / "whole")
    assert bits(resumed) == bits(whole)


def test_a_kill_between_weights_and_run_json_loses_nothing(tmp_path, monkeypatch):
    whole = fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path / "whole")

    def killed(*_):
        raise KeyboardInterrupt

    fit(Waves(), SPECS["lstm"], dataclasses.replace(SETTINGS, seed=9), tmp_path / "cut")
    with monkeypatch.context() as patch:
        patch.setattr("edgeseq.files.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path / "cut")
    with pytest.raises(CheckpointError, match="Train again, with --resume"):
        load_checkpoint(tmp_path / "cut")
    resumed = fit(Waves(), SPECS["lstm"], SETTINGS, tmp_path / "cut", resume=True)
    assert bits(resumed) == bits(whole)


class Scripted(Waves):
    """A task whose validation scores are written down beforehand."""

    def __init__(self, values):
        super().__init__()
        self.values = list(values)

    def score(self, predict, recordings):
        score = super().score(predict, recordings)
        value = self.values.pop(0) if self.values else 0.0
        return dataclasses.replace(score, value=value)


LOOKING = FitSettings(steps=20, batch=4, crop=12, evaluate_every=1)
"""From the look at step 16, the last before the schedule has settled, looks compete."""


@pytest.mark.parametrize(
    ("last_five", "best"),
    [([10, 30, 20, 20, 20], 17), ([10, 30, 20, 30, 20], 19), ([40, 30, 20, 30, 20], 16)],
)
def test_the_best_settled_look_is_kept_and_of_equal_ones_the_later(last_five, best, tmp_path):
    lucky = [99.0] * 15
    checkpoint = fit(Scripted([*lucky, *last_five]), SPECS["lstm"], LOOKING, tmp_path)
    assert [look.validation for look in checkpoint.history] == [*lucky, *last_five]
    assert checkpoint.best_step == best


def test_patience_counts_only_when_the_schedule_has_settled(tmp_path):
    settings = dataclasses.replace(LOOKING, patience=2)
    falling = list(range(100, 80, -1))
    checkpoint = fit(Scripted(falling), SPECS["lstm"], settings, tmp_path)
    assert len(checkpoint.history) == 18
    assert checkpoint.best_step == 16


def test_a_resumed_run_remembers_the_best_weights_and_how_long_it_waited(tmp_path):
    settings, scores = dataclasses.replace(LOOKING, patience=3), [0] * 15 + [40, 30, 20, 30, 20]
    whole = fit(Scripted(scores), SPECS["lstm"], settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(Scripted(scores), SPECS["lstm"], settings, tmp_path / "cut", progress=stop_at(18))
    rest = Scripted(scores[18:])
    resumed = fit(rest, SPECS["lstm"], settings, tmp_path / "cut", resume=True)
    assert (len(resumed.history), resumed.best_step) == (19, 16)
    assert resumed.history == whole.history
    assert bits(resumed) == bits(whole)


def test_where_less_is_better_the_smallest_look_is_kept(tmp_path):
    class Errors(Scripted):
        def score(self, predict, recordings):
            return dataclasses.replace(super().score(predict, recordings), higher_is_better=False)

    checkpoint = fit(Errors([9] * 16 + [5, 3, 4, 6]), SPECS["lstm"], LOOKING, tmp_path)
    assert checkpoint.best_step == 18


def test_progress_hears_every_step(tmp_path):
    heard = []
    checkpoint = fit(
        Waves(), SPECS["lstm"], SETTINGS, tmp_path, progress=lambda *news: heard.append(news)
    )
    assert [step for step, *_ in heard] == list(range(1, 31))  # a quarter more for the refit
    assert {steps for _, steps, *_ in heard} == {30}
    assert [best for *_, best in heard[:4]] == [None, None, None, checkpoint.history[0].validation]
    mean = sum(loss for _, _, loss, _ in heard[4:8]) / 4
    assert checkpoint.history[1].train_loss == pytest.approx(mean)


def test_the_refit_learns_from_the_validation_people_and_only_then(tmp_path):
    """A class that only the validation people show is unknown before the refit."""

    class Told(Waves):
        def split(self, fold=0):
            whole = super().split(fold)
            train = tuple(recording for recording in whole.train if recording.target[0] != 2)
            return dataclasses.replace(whole, train=train)

    settings = dataclasses.replace(SETTINGS, steps=160, batch=32, lr=1e-2, crop=20)
    without = fit(
        Told(), SPECS["lstm"], dataclasses.replace(settings, refit=0.0), tmp_path / "without"
    )
    refitted = fit(
        Told(), SPECS["lstm"], dataclasses.replace(settings, refit=1.0), tmp_path / "with"
    )
    assert without.scores["test"].value < 70
    assert refitted.scores["test"].value > 95
    assert refitted.scores["validation"] == without.scores["validation"]
    assert refitted.history == without.history


def test_a_diverging_run_says_so(tmp_path):
    class Broken(Waves):
        def augment(self, frames, rng):
            return frames * np.float32(np.inf)

    with pytest.raises(EdgeseqError, match=r"diverged: the loss is nan at step 1. Lower the"):
        fit(Broken(), SPECS["lstm"], SETTINGS, tmp_path)


def test_cuda_that_is_not_there_is_an_error_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ProviderError, match="asked to train on cuda"):
        fit(Waves(), SPECS["lstm"], dataclasses.replace(SETTINGS, accelerator="cuda"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_run_leaves_no_trace_in_the_process(tmp_path):
    torch.manual_seed(1)
    threads, expected = torch.get_num_threads(), torch.rand(3)
    torch.manual_seed(1)
    fit(Waves(), SPECS["lstm"], dataclasses.replace(SETTINGS, steps=4, threads=2), tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.cuda
@pytest.mark.parametrize("family", FAMILIES)
def test_waves_are_learned_on_cuda(family, tmp_path):
    settings = dataclasses.replace(SETTINGS, steps=150, batch=32, lr=1e-2, accelerator="cuda")
    started = time.perf_counter()
    checkpoint = fit(Waves(), SPECS[family], settings, tmp_path)
    assert checkpoint.scores["test"].value > 95
    assert time.perf_counter() - started < 120
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["accelerator"] == "cuda"
