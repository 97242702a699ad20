"""`edgeseq bench --soak` and `--sweep`: what is typed, printed, kept, and the exit codes."""

import json
import shutil

import pytest
from click.testing import CliRunner

from edgeseq.bench.soak import SoakResult
from edgeseq.bench.sweep import SweepResult
from edgeseq.bundle import load_bundle
from edgeseq.cli import main
from edgeseq.cli.kinds import EXTENT, Extent
from edgeseq.runtime import StreamSession


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def copy(lstm_bundle, tmp_path):
    return shutil.copytree(lstm_bundle.path, tmp_path / "bundle")


SOAK = ("--soak", "18k")
SWEEP = ("--rounds", 2, "--seconds", 0.1)


def test_soak_shows_and_keeps_its_result(copy, tmp_path):
    out, summary = tmp_path / "soak.json", tmp_path / "soak.md"
    result = call("bench", copy, *SOAK, "-o", out, "--summary", summary)
    for word in ("no slope of latency", "no slope of drift", "18,0", "per 10⁶ steps"):
        assert word in result.stdout, word
    assert "40/40" in result.stderr
    assert "### edgeseq bench --soak" in summary.read_text()
    (soaked,) = SoakResult.load(out).variants
    assert (soaked.name, len(soaked.at_steps)) == ("fp32", 40)


def test_soak_as_json(copy):
    table = json.loads(call("bench", copy, *SOAK, "--json").stdout)
    assert table["settings"]["steps"] == 18_000
    assert {item["promise"] for item in table["budget"]} >= {"all finite", "no slope of memory"}


def test_soak_of_a_model_that_ages_exits_3(copy, monkeypatch, tmp_path):
    real, steps = StreamSession.step, {}

    def step(self, frame):
        steps[self] = steps.get(self, 0) + 1
        return real(self, frame) + steps[self] * 1e-5

    monkeypatch.setattr(StreamSession, "step", step)
    monkeypatch.setattr(
        StreamSession,
        "reset",
        lambda self, reset=StreamSession.reset: (steps.pop(self, 0), reset(self)),
    )
    out = tmp_path / "soak.json"
    result = call("bench", copy, "--soak", "100k", "-o", out, code=3)
    assert result.stderr.splitlines()[-1].startswith(
        "Error: 1 promise(s) of this soak broke: fp32 "
    )
    assert "no slope of drift" in result.stderr
    assert out.exists(), "kept all the same"


def test_soak_that_is_interrupted_shows_what_it_has(copy, monkeypatch, tmp_path):
    real, count = StreamSession.step, iter(range(20_000))

    def step(self, frame):
        if next(count) == 19_990:
            raise KeyboardInterrupt
        return real(self, frame)

    monkeypatch.setattr(StreamSession, "step", step)
    out = tmp_path / "soak.json"
    result = call("bench", copy, *SOAK, "-o", out, code=130)
    assert "Interrupted" in result.stdout
    assert SoakResult.load(out).interrupted


def test_sweep_writes_the_best_or_leaves_it(copy, tmp_path):
    out = tmp_path / "sweep.json"
    before = (copy / "manifest.json").read_bytes()
    result = call("bench", copy, "--sweep", *SWEEP, "-o", out, "--dry-run")
    for word in ("ONNX Runtime's defaults", "no IO binding", "arena=true", "CPU s/hour"):
        assert word in result.stdout, word
    assert (copy / "manifest.json").read_bytes() == before
    assert not SweepResult.load(out).written
    table = json.loads(call("bench", copy, "--sweep", *SWEEP, "--json").stdout)
    session = load_bundle(copy).variant().session
    assert {name: getattr(session, name) for name in table["chosen"]} == table["chosen"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--soak", "18k", "--fresh", "3"), "--soak does not go with --fresh"),
        (("--soak", "18k", "--sweep"), "--soak does not go with --sweep"),
        (("--soak", "18k", "--margin", "5"), "--soak does not go with --margin"),
        (("--sweep", "--session", "threads=2"), "--sweep does not go with --session"),
        (("--sweep", "--strict"), "--sweep does not go with --strict"),
        (("--dry-run",), "--dry-run goes with --sweep"),
        (("--sweep", "--variant", "a", "--variant", "b"), "one bundle and one --variant"),
        (("--soak", "100"), "100 steps are too few for a soak"),
        (("--soak", "10s", "--rate", "5"), "50 steps are too few for a soak"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(copy, arguments, said):
    result = call("bench", copy, *arguments, code=2)
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert said in result.stderr


@pytest.mark.parametrize(
    ("text", "extent"),
    [
        ("1h", Extent(seconds=3600)),
        ("10m", Extent(seconds=600)),
        ("1.5m", Extent(seconds=90)),
        ("90s", Extent(seconds=90)),
        ("1e6", Extent(steps=10**6)),
        ("2.5e5", Extent(steps=250_000)),
        ("50k", Extent(steps=50_000)),
        ("1M", Extent(steps=10**6)),
        ("1000000", Extent(steps=10**6)),
    ],
)
def test_extents_as_people_write_them(text, extent):
    assert EXTENT.convert(text, None, None) == extent


@pytest.mark.parametrize("text", ["soon", "0", "0s", "-5", "1e", "10 m", "1d", "1e999"])
def test_extents_that_are_none(text, copy):
    assert (
        "is not an extent; write steps as 1e6" in call("bench", copy, "--soak", text, code=2).stderr
    )
