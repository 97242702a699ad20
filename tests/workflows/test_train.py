"""What is typed becomes sizes and settings; the report has the baselines beside the score."""

import io
import json

import pytest
from rich.console import Console

from edgeseq.errors import UsageError
from edgeseq.models.lstm import LSTMSpec
from edgeseq.models.transformer import TransformerSpec
from edgeseq.report.text import training_table
from edgeseq.workflows import train as module
from edgeseq.workflows.export import export_run
from edgeseq.workflows.train import TrainRequest, TuneRequest, fine_tune, train


@pytest.fixture(scope="module")
def report(walk, tmp_path_factory):
    request = TrainRequest(task=str(walk), sizes={"hidden": 5, "layers": 1}, steps=8, seed=3)
    return train(request, tmp_path_factory.mktemp("train") / "run")


def spec_of(walk, **request):
    """Return what would be trained."""
    seen = []

    def fit(task, spec, settings, out, **_):
        seen.append((spec, settings))
        raise StopIteration

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit", fit)
        with pytest.raises(StopIteration):
            train(TrainRequest(task=str(walk), **request), walk.parent / "run")
    return seen[0]


@pytest.mark.parametrize("params", [3_000, 50_000])
@pytest.mark.parametrize("family", ["lstm", "gru", "hybrid", "transformer"])
def test_params_are_filled_but_never_exceeded(family, params, walk):
    spec, _ = spec_of(walk, model=family, params=params)
    assert 0.9 * params < spec.parameters(inputs=4, outputs=3) <= params


def test_explicit_sizes_override_params(walk):
    assert spec_of(walk, sizes={"hidden": 9})[0] == LSTMSpec(hidden=9, layers=2)
    spec, _ = spec_of(walk, params=9_000, sizes={"projection": 8})
    assert spec.projection == 8
    assert 0.97 * 9_000 < spec.parameters(inputs=4, outputs=3) <= 9_000
    spec, _ = spec_of(walk, model="transformer", sizes={"width": 24, "heads": 3, "window": 7})
    assert spec == TransformerSpec(width=24, feed_forward=96, heads=3, window=7)
    sizes = {"width": 24, "feed_forward": 10}
    assert spec_of(walk, model="transformer", sizes=sizes)[0].feed_forward == 10


def test_settings_are_passed_on(walk):
    _, settings = spec_of(walk, seed=7, fold=1, steps=123)
    assert (settings.seed, settings.fold, settings.steps) == (7, 1, 123)
    assert spec_of(walk)[1].steps > 123, "the default of the task"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"sizes": {"window": 8}},
            "window is no size of a lstm; it has: dropout, hidden, layers, projection",
        ),
        (
            {"model": "transformer", "sizes": {"hidden": 8}},
            "hidden is no size of a transformer; it has: "
            "dropout, feed_forward, heads, layers, positions, width, window",
        ),
        (
            {"model": "transformer", "sizes": {"width": 12}},
            "width: 12 is not a multiple of 2 x heads = 8",
        ),
        (
            {"sizes": {"hidden": 0, "layers": -1}},
            "hidden: 0 is not at least 1; layers: -1 is not at least 1",
        ),
        (
            {"params": 10},
            "an LSTM with 4 inputs and 3 outputs cannot have only 10 parameters; try --params 121",
        ),
    ],
)
def test_sizes_that_make_no_model(request_, message, walk, tmp_path):
    with pytest.raises(UsageError) as caught:
        train(TrainRequest(task=str(walk), **request_), tmp_path / "run")
    assert str(caught.value) == message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fold", [-1, 99])
def test_folds_that_are_none(fold, walk, tmp_path):
    with pytest.raises(UsageError, match=rf"has folds 0 to \d+, not {fold}$"):
        train(TrainRequest(task=str(walk), fold=fold), tmp_path / "run")


def test_report_as_json(report, walk):
    table = json.loads(json.dumps(report.to_json()))
    assert list(table) == [
        "run", "task", "family", "spec", "parameters", "fold", "seed", "seconds", "scores",
        "baselines", "tuned_for", "before",
    ]  # fmt: skip
    assert (table["task"], table["family"], table["seed"]) == (str(walk), "lstm", 3)
    assert table["spec"] == {"hidden": 5, "layers": 1, "dropout": 0.2, "projection": 0}
    assert table["parameters"] == LSTMSpec(5, 1).parameters(4, 3) == 238
    assert set(table["scores"]) == {"validation", "test"}
    assert set(table["baselines"]) == {"majority class", "random forest"}
    counts = {table["scores"]["test"]["count"], *(b["count"] for b in table["baselines"].values())}
    assert counts == {36}, "all are judged on the same windows"
    assert (table["tuned_for"], table["before"]) == (None, {})
    streams = [table["scores"]["test"]["streamed"]]
    streams += [score["streamed"] for score in table["baselines"].values()]
    assert [stream["sequences"] for stream in streams] == [3] * 3
    assert table["baselines"]["majority class"]["streamed"]["undecided"] == pytest.approx(200 / 3)
    assert table["scores"]["validation"]["streamed"] is None


def test_table_has_scores_and_what_becomes_of_them_in_a_stream(report):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(training_table(report))
    table = console.export_text()
    for name in ("majority class", "random forest", "lstm, 238 parameters"):
        assert table.count(f"\n{name}") == 2
    assert "as one stream, never reset" in table
    assert "3 sequences in 36 s of signal; a decision counts once it has held for 0.12 s" in table


def test_run_is_on_disk(report):
    assert {file.name for file in report.run.iterdir()} >= {"run.json", "weights.safetensors"}
    assert json.loads((report.run / "run.json").read_text())["parameters"] == 238


def test_a_run_is_fine_tuned_into_another_that_is_exported_as_usual(report, tmp_path):
    old = {file.name: file.read_bytes() for file in report.run.iterdir()}
    request = TuneRequest(report.run, recipe="int8-per-tensor", steps=3)
    assert request.default_out == report.run.with_name("run-qat")
    tuned = fine_tune(request, tmp_path / "tuned")
    assert {file.name: file.read_bytes() for file in report.run.iterdir()} == old
    checkpoint, table = tuned.checkpoint, json.loads(json.dumps(tuned.to_json()))
    assert (checkpoint.seed, checkpoint.fold, checkpoint.spec) == (3, 0, report.checkpoint.spec)
    assert table["tuned_for"] == "int8-per-tensor"
    assert set(table["before"]) == {"before, fp32", "before, int8-per-tensor"}
    assert tuned.before["before, fp32"] == report.checkpoint.scores["test"]
    assert tuned.before["before, int8-per-tensor"].count == 36
    manifest = export_run(tmp_path / "tuned", tmp_path / "bundle").manifest
    assert manifest.origin.tuned_for == "int8-per-tensor"
    assert manifest.variants["fp32"].parity.relative_error < 1e-5


def test_the_run_to_fine_tune_is_never_overwritten(report):
    same = report.run.parent / "." / report.run.name
    with pytest.raises(UsageError, match="is the run to fine-tune, which stays; give another -o"):
        fine_tune(TuneRequest(report.run), same)
