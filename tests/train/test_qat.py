"""Fine-tuning makes a run like any other: reproducible, resumable, of weights that fit rounding."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
import torch
from train.test_fit import RESUME, SETTINGS, SPECS, bits, stop_at
from train.toy import Foretell, Waves

from edgeseq.errors import CheckpointError, UsageError
from edgeseq.models.lstm import LSTMSpec
from edgeseq.recipes import Quantization, load_recipe
from edgeseq.tasks.base import Score
from edgeseq.train import FitSettings, fit, load_checkpoint, predictor
from edgeseq.train.checkpoint import Tuned
from edgeseq.train.crops import Crops
from edgeseq.train.qat import quantized_twin, tune, tuning_settings
from edgeseq.train.rounding import Rounding, columns, exact, unsigned
from edgeseq.train.run import Start
from edgeseq.train.twin import twin_of

INT8 = load_recipe("int8-dynamic").quantize
COARSE = Quantization("weights", bits=4, block=128)
SHORT = dataclasses.replace(SETTINGS, steps=12, evaluate_every=4, refit=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run, of two kinds of layers."""
    folder, families = tmp_path_factory.mktemp("trained"), ("lstm", "transformer")
    return {name: fit(Waves(), SPECS[name], SETTINGS, folder / name) for name in families}


def tuned(before, out, how=COARSE, settings=SHORT, name="coarse", **more):
    return tune(Waves(), before, name, how, settings, out, **more)


@pytest.mark.parametrize("family", ["lstm", "transformer"])
def test_an_interrupted_fine_tuning_goes_on_to_the_same_bits(family, trained, tmp_path):
    before = bits(trained[family])
    whole = tuned(trained[family], tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tuned(trained[family], tmp_path / "cut", progress=stop_at(6))
    assert (tmp_path / "cut" / RESUME).exists()
    steps = []
    resumed = tuned(
        trained[family], tmp_path / "cut", resume=True,
        progress=lambda step, *_: steps.append(step),
    )  # fmt: skip
    assert steps == list(range(5, 13))
    assert bits(resumed) == bits(whole)
    assert resumed.history == whole.history
    assert bits(trained[family]) == before != bits(whole)
    assert bits(load_checkpoint(tmp_path / "cut")) == bits(whole)


def test_the_result_is_a_run_that_says_what_it_was_tuned_for(trained, tmp_path):
    result = tuned(trained["lstm"], tmp_path, INT8, name="int8-dynamic")
    loaded = load_checkpoint(tmp_path)
    assert loaded.tuned == result.tuned
    assert loaded.tuned.recipe == "int8-dynamic"
    assert loaded.tuned.arithmetic["fit_pairs"] is True
    assert (
        loaded.tuned.weights_sha256
        == json.loads((tmp_path / "run.json").read_text())["tuned"]["weights_sha256"]
    )
    assert loaded.model.state_dict().keys() == trained["lstm"].model.state_dict().keys()
    assert trained["lstm"].tuned is None


def test_it_goes_on_from_the_weights_that_there_were(trained, tmp_path):
    still = dataclasses.replace(SHORT, lr=1e-12)
    result = tuned(trained["transformer"], tmp_path, settings=still)
    old, new = trained["transformer"].model.state_dict(), result.model.state_dict()
    assert all(torch.allclose(old[name], new[name], atol=1e-9) for name in old)


class Told(Waves):
    """Scores by all digits of the outputs, so that rounding shows."""

    def score(self, predict, recordings):
        outputs = predict(np.stack([recording.frames for recording in recordings]))
        return Score("mean logit", float(outputs.astype(np.float64).mean()), True, outputs.size)


def test_scores_are_of_the_rounded_model_and_nothing_was_chosen(trained, tmp_path):
    """All people but the test's are trained on: no validation score, and no look is best."""
    task = Told()
    result = tune(task, trained["lstm"], "coarse", COARSE, SHORT, tmp_path)
    plain, rounded = predictor(result.model), predictor(quantized_twin(result.model, COARSE))
    test, validation = task.split().test, task.split().validation
    assert result.scores == {"test": task.score(rounded, test)} != {"test": task.score(plain, test)}
    assert result.history[-1].validation == task.score(rounded, validation).value
    assert result.best_step == SHORT.steps


def test_the_last_weights_are_kept_whatever_the_looks_say(trained, tmp_path):
    class Falling(Waves):
        value = 100.0

        def score(self, predict, recordings):
            self.value -= 1
            return dataclasses.replace(super().score(predict, recordings), value=self.value)

    settings = dataclasses.replace(SHORT, evaluate_every=1, patience=1)
    result = tune(Falling(), trained["lstm"], "coarse", COARSE, settings, tmp_path)
    assert [look.step for look in result.history] == list(range(1, 13))
    assert bits(result) == bits(tuned(trained["lstm"], tmp_path / "other"))


def test_everyone_but_the_test_people_is_trained_on_by_batches_never_drawn(
    trained, tmp_path, monkeypatch
):
    drawn, frames, draw = [], [], Crops.__call__

    def spy(self, step):
        drawn.append(step)
        frames.append(len(self.frames))
        return draw(self, step)

    monkeypatch.setattr(Crops, "__call__", spy)
    tuned(trained["lstm"], tmp_path)
    used = SETTINGS.steps + SETTINGS.refit_steps
    assert drawn == list(range(used, used + 12))
    split = Waves().split()
    people = sum(len(r.frames) for r in (*split.train, *split.validation))
    assert set(frames) == {people}


def test_weights_move_to_where_rounding_does_less_harm(tmp_path):
    """Five levels a weight cost much; fine-tuning with them wins back what training does not."""
    task, spec = Foretell(), LSTMSpec(6, 1, dropout=0.0)
    settings = FitSettings(steps=150, batch=16, lr=2e-2, crop=30, refit=0.0)
    before = fit(task, spec, settings, tmp_path / "before")
    coarse = Rounding(partial(columns, largest=2, per_channel=True), unsigned)
    twins = {
        "rounded": partial(twin_of, roundings=lambda _: coarse),
        "unrounded": partial(twin_of, roundings=lambda _: Rounding(exact, exact)),
    }

    def error_of(model):
        return task.score(predictor(twins["rounded"](model)), task.split().test).value

    short, error = tuning_settings(settings, lr=6e-3), {}
    for name, twin in twins.items():
        start = Start(before.model, twin, settings.steps, Tuned(name, {}, ""))
        error[name] = error_of(fit(task, spec, short, tmp_path / name, start=start).model)
    loss = error_of(before.model) - before.scores["test"].value
    assert loss > 0.1, "in V"
    recovered = {name: (error_of(before.model) - value) / loss for name, value in error.items()}
    assert recovered["rounded"] > 0.65
    assert recovered["unrounded"] < 0.55


def test_settings_are_short_and_gentle():
    settings = tuning_settings(FitSettings(steps=1200, lr=4e-3, seed=7, crop=9), accelerator="cuda")
    assert (settings.steps, settings.lr, settings.refit) == (300, pytest.approx(4e-4), 0)
    assert (settings.seed, settings.crop, settings.accelerator) == (7, 9, "cuda")
    assert tuning_settings(FitSettings(steps=1)).steps == 1


def test_a_run_goes_on_only_for_the_same_arithmetic_and_weights(trained, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tuned(trained["lstm"], tmp_path, progress=stop_at(6))
    other = fit(Waves(), SPECS["lstm"], dataclasses.replace(SETTINGS, steps=4), tmp_path / "other")
    with pytest.raises(CheckpointError) as error:
        tuned(other, tmp_path, dataclasses.replace(COARSE, bits=8), resume=True)
    assert "tuned.arithmetic.bits = 4, not 8" in str(error.value)
    assert "tuned.weights_sha256 = " in str(error.value)
    with pytest.raises(CheckpointError, match="tuned = "):
        fit(Waves(), SPECS["lstm"], SHORT, tmp_path, resume=True)


def test_what_cannot_be_tuned_is_refused_before_anything_is_written(trained, tmp_path):
    with pytest.raises(UsageError, match="cannot be trained for fp16"):
        tuned(trained["lstm"], tmp_path / "half", Quantization("half"))
    once = tuned(trained["lstm"], tmp_path / "once")
    with pytest.raises(UsageError, match="was fine-tuned already, for coarse"):
        tuned(once, tmp_path / "twice")
    assert {path.name for path in tmp_path.iterdir()} == {"once"}
