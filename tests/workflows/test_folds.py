import dataclasses
import json

import numpy as np
import pytest
from train.toy import Waves

from edgeseq.errors import CheckpointError, EdgeseqError, UsageError
from edgeseq.tasks.base import Score
from edgeseq.workflows import accuracy, folds
from edgeseq.workflows.folds import fold_baselines, paired_difference, run_folds, subject_means

TINY = {"steps": 4, "batch": 4, "evaluate_every": 2}


@pytest.fixture
def waves(monkeypatch):
    monkeypatch.setattr(folds, "load_task", lambda _: Waves())


def score(value=0.0, **per_subject):
    return Score("accuracy %", value, True, 1, per_subject)


@pytest.mark.usefixtures("waves")
def test_every_family_fold_and_seed_is_trained_once_in_its_own_directory(tmp_path):
    heard = []
    runs = run_folds(
        "waves",
        ["lstm", "transformer"],
        5000,
        [3, 4],
        tmp_path,
        changes=TINY,
        progress=heard.append,
    )
    assert [(run.family, run.fold, run.seed) for run in runs] == [
        (family, fold, seed)
        for family in ("lstm", "transformer")
        for fold in (0, 1)
        for seed in (3, 4)
    ]
    assert heard == runs
    assert all(4500 < run.parameters <= 5000 for run in runs)
    table = json.loads((tmp_path / "lstm-fold1-seed3" / "run.json").read_text())
    assert table["settings"]["steps"] == 4
    assert (table["fold"], table["seed"]) == (1, 3)
    assert table["scores"]["test"]["value"] == runs[2].test.value
    assert table["history"][-1]["validation"] == runs[2].last_validation


@pytest.mark.usefixtures("waves")
def test_finished_runs_are_read_not_trained_again(tmp_path):
    first = run_folds("waves", ["lstm"], 5000, [0], tmp_path, folds=[1], changes=TINY)
    stamp = (tmp_path / "lstm-fold1-seed0" / "weights.safetensors").stat().st_mtime_ns
    again = run_folds("waves", ["lstm"], 5000, [0, 1], tmp_path, folds=[1], changes=TINY)
    assert (tmp_path / "lstm-fold1-seed0" / "weights.safetensors").stat().st_mtime_ns == stamp
    assert again[0] == dataclasses.replace(first[0], seconds=again[0].seconds)
    assert len(again) == 2
    with pytest.raises(CheckpointError, match=r"settings.steps = 4, not 6"):
        run_folds("waves", ["lstm"], 5000, [0], tmp_path, changes={**TINY, "steps": 6}, folds=[1])


def test_no_workers_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="0 workers cannot work"):
        run_folds("har", ["lstm"], 5000, [0], tmp_path, workers=0)


def test_worker_processes_give_the_same_bits(tmp_path):
    """With the user's own data, because a task of the test's process is unknown to others."""
    task = own_data(tmp_path)
    runs = {
        workers: run_folds(
            task, ["lstm"], 2000, [0, 1], tmp_path / f"{workers}", folds=[0], changes=TINY,
            workers=workers,
        )
        for workers in (1, 2)
    }  # fmt: skip
    for alone, pooled in zip(runs[1], runs[2], strict=True):
        assert dataclasses.replace(pooled, seconds=alone.seconds) == alone
        name = f"lstm-fold0-seed{alone.seed}/weights.safetensors"
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def own_data(directory):
    """Write one CSV a recording and the TOML that names them; return its path."""
    for recording in Waves().recordings():
        rows = [f"{a},{b}" for a, b in recording.frames.tolist()]
        (directory / f"{recording.name}.csv").write_text("\n".join(["a,b", *rows]))
    toml = directory / "waves.toml"
    toml.write_text(
        """
        files = ["*.csv"]
        rate_hz = 10.0
        inputs = { a = "V", b = "V" }
        window_s = 2.0
        subject = 'file:(\\d)-.[.]csv'
        label = 'file:-(\\d)[.]csv'
        classes = ["slow", "fast", "turned"]
        """
    )
    return str(toml)


def test_baselines_are_fitted_once_and_kept(tmp_path, monkeypatch):
    calls = []

    class Counted(Waves):
        def baselines(self, split):
            calls.append(({item.subject for item in split.train}, split.test[0].subject))
            return {"majority class": score(33.0, a=33.0)}

    monkeypatch.setattr(accuracy, "load_task", lambda _: Counted())
    accuracy.baselines.cache_clear()
    first = fold_baselines("waves", [0, 1], tmp_path)
    assert first == fold_baselines("waves", [0, 1], tmp_path)
    assert first[1] == {"majority class": score(33.0, a=33.0)}
    assert calls == [(set("02345"), "1"), (set("01245"), "3")]
    (tmp_path / "baselines-fold1.json").write_text("{")
    with pytest.raises(EdgeseqError, match=r"baselines-fold1\.json.*Delete it and try again"):
        fold_baselines("waves", [1], tmp_path)


def test_a_subject_counts_once_however_many_seeds_there_are():
    scores = [score(a=80, b=60), score(a=90, b=60), score(c=10)]
    assert subject_means(scores) == {"a": 85, "b": 60, "c": 10}


def test_the_paired_difference_is_that_of_a_t_test():
    a = [score(x=90, y=80, z=70), score(x=92, y=80, z=70), score(only_here=1)]
    b = [score(x=88, y=81, z=67)]
    difference = paired_difference(a, b)  # 3, -1, 3
    assert difference.mean == pytest.approx(5 / 3)
    assert difference.standard_error == pytest.approx(np.std([3, -1, 3], ddof=1) / 3**0.5)
    assert difference.subjects == 3


def test_one_subject_has_no_standard_error():
    with pytest.raises(UsageError, match="needs 2 subjects in both; there are 1"):
        paired_difference([score(a=1)], [score(a=2, b=3)])
