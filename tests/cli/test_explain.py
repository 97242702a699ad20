"""`edgeseq explain`: what is typed, what is printed, and the page that is left."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from runtime.letters import LETTERS, save_model

from edgeseq.cli import main
from edgeseq.explain import Target, neutral, occlude
from edgeseq.runtime import StreamSession
from edgeseq.workflows.explain import load_subject, read_frames

GOLDEN = Path(__file__).parents[1] / "golden"
HAR, GLUCOSE = GOLDEN / "har-lstm", GOLDEN / "glucose-transformer"


def call(*arguments, code=0, text=None):
    result = CliRunner().invoke(main, ["explain", *map(str, arguments)], input=text)
    assert result.exit_code == code, result.output
    return result


def explained(*arguments, **how):
    return json.loads(call(*arguments, "--json", **how).stdout)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two classes of motion, `walk` as the tasks of the tests have it."""
    file = tmp_path_factory.mktemp("walk") / "recording.csv"
    rows = np.random.default_rng(0).normal(3, 5, (60, 2))
    file.write_text("ax,ay\n" + "".join(f"{a:.3f},{b:.3f}\n" for a, b in rows))
    return file


def test_a_bundle_by_occlusion_and_a_page(tmp_path):
    page = tmp_path / "page.html"
    result = call(HAR, HAR / "reference.npz", "--at", 24, "--variant", "fp32", "-o", page)
    assert "at frame 24, after 2.00 s" in result.stdout
    assert "wx" in result.stdout
    assert f"Open {page}" in result.stdout
    assert "explain RUN INPUT" in result.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_what_is_left_out_is_what_the_bundle_says_without_it():
    """The change at a frame is what two streams through ONNX Runtime differ by."""
    found = explained(GLUCOSE, GLUCOSE / "reference.npz", "--at", 30, "--width", 1)
    with np.load(GLUCOSE / "reference.npz") as arrays:
        frames = arrays["frames"][:31]
    without = frames.copy()
    without[28] = frames.mean(0)
    with StreamSession(GLUCOSE, variant="fp32") as session:
        whole = session.run(frames)[-1, 0]
        session.reset()
        change = whole - session.run(without)[-1, 0]
    assert found["score"] == pytest.approx(whole, rel=1e-4)
    assert found["change"][28] == pytest.approx(change, rel=0.02)
    assert abs(change) > 0.1
    assert found["unit"] == "mg/dL"
    assert len(found["change"]) == 31


def test_int8_answers_one_frame_a_call():
    """In a batch activations share a scale, so the score would not be the app's."""
    found = explained(HAR, HAR / "reference.npz", "--at", 5, "--variant", "int8", "--width", 2)
    with np.load(HAR / "reference.npz") as arrays, StreamSession(HAR, variant="int8") as session:
        outputs = [session.step(frame) for frame in arrays["frames"][:6]][-1].astype(float)
    likely = np.exp(outputs - outputs.max())
    assert found["score"] == pytest.approx(np.log(likely.max() / likely.sum()), abs=1e-4)


def test_a_run_by_all_methods(run_of, recording):
    lstm = explained(run_of["lstm"], recording)
    assert set(lstm["importance"]) == {
        "occlusion", "gates", "gradient x input", "integrated gradients",
    }  # fmt: skip
    assert list(lstm["missing"]) == ["attention"]
    assert [len(layer["forget"]) for layer in lstm["gates"]] == [30, 30]
    attention = explained(run_of["transformer"], recording, "--method", "attention")
    assert set(attention["importance"]) == {"attention"}
    assert attention["agreement"] == {}


def test_a_run_and_its_bundle_are_explained_alike(run_of, lstm_bundle, recording):
    run = explained(run_of["lstm"], recording, "--method", "occlusion")
    bundle = explained(lstm_bundle.path, recording, "--method", "occlusion")
    assert run["label"] == bundle["label"]
    assert run["change"] == pytest.approx(bundle["change"], abs=1e-5)
    assert np.ptp(run["change"]) > 1e-3


def test_a_window_is_known_of_a_run_and_of_its_bundle(run_of, cnn_bundle, recording):
    run = load_subject(run_of["cnn"])
    bundle = load_subject(cnn_bundle.path)
    assert run.memory == bundle.memory == 10
    assert load_subject(run_of["lstm"]).memory is None
    found = explained(cnn_bundle.path, recording, "--width", 1)["change"]
    assert (np.array(found)[:-10] == 0).all()
    assert np.ptp(found[-10:]) > 1e-3
    every = occlude(
        run.predict, read_frames(recording, run.frame),
        Target(run.output, run.output.labels.index(explained(cnn_bundle.path, recording)["label"])),
        neutral(read_frames(recording, run.frame), run.frame), channels=2, width=1,
    )  # fmt: skip
    assert every.change == pytest.approx(np.array(found), abs=3e-5)


def test_standard_input_skips_and_labels(run_of, recording):
    rows = recording.read_text()
    whole = explained(run_of["gru"], recording, "--skip", 20, "--label", "run")
    piped = explained(run_of["gru"], "-", "--skip", 20, "--label", "run", text=rows)
    assert piped["input"] == "standard input"
    assert piped["change"] == whole["change"]
    assert whole["label"] == "run"
    assert whole["at"] == 19


def test_a_letter_is_replaced_by_a_space(tmp_path):
    letters = (*LETTERS, " ")
    text = tmp_path / "text.txt"
    text.write_text("abcabdé")
    model, page = save_model(tmp_path, letters), tmp_path / "page.html"
    found = explained(model, text, "--width", 1, "-o", page)

    def score(words):
        with StreamSession(model) as session:
            frames = np.array([[letters.index(letter)] for letter in words], np.float32)
            outputs = session.run(frames)[-1].astype(float)
        return (outputs - np.log(np.exp(outputs).sum()))[letters.index(found["label"])]

    assert found["change"][4] == pytest.approx(score("abcabdé") - score("abca dé"), abs=1e-5)
    assert abs(found["change"][4]) > 1e-3
    assert "é</span>" in page.read_text()


def test_letters_without_any_that_says_nothing_are_refused(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("abc")
    said = call(save_model(tmp_path), text, code=2).stderr
    assert "has neither a space nor unknown characters" in said


def test_a_bare_file_is_explained(recording, lstm_bundle):
    found = explained(lstm_bundle.path / "model.onnx", recording, "--width", 5)
    assert found["family"] == ""
    assert len(found["change"]) == 30


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([HAR, HAR / "reference.npz", "--method", "gates"], 2, "has answers and nothing else"),
        ([HAR, HAR / "reference.npz", "--at", 5000], 2, "there is no frame 5000"),
        ([HAR, HAR / "reference.npz", "--at", 9, "--width", 11], 2, "a stretch of 11 frames"),
        ([HAR, HAR / "reference.npz", "--label", "fly"], 2, 'no output "fly"; there are:'),
        ([HAR, HAR / "reference.npz", "--skip", 10**6], 1, "has no whole frame"),
        ([HAR, "missing.csv"], 2, "no file missing.csv"),
        ([HAR, HAR / "reference.npz", "-o", "page.png"], 2, "name the page: -o page.html"),
        (["nowhere", HAR / "reference.npz"], 1, "nowhere"),
    ],
)
def test_mistakes_are_one_line(arguments, code, says):
    result = call(*arguments, code=code)
    error = next(line for line in result.stderr.splitlines() if line.startswith("Error:"))
    assert says in error


def test_a_run_has_no_variants_and_an_lstm_no_attention(run_of, recording):
    assert "no variants" in call(run_of["lstm"], recording, "--variant", "int8", code=2).output
    said = call(run_of["lstm"], recording, "--method", "attention", code=2).output
    assert "a model of the family lstm has no attention" in said
