"""`edgeseq quantize --auto`: what is typed, printed, and the exit codes."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from report.synthetic_auto import auto_result

from edgeseq.cli import main
from edgeseq.report.auto import AutoResult


def call(*arguments, code=0):
    result = CliRunner().invoke(main, ["quantize", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def searched(monkeypatch):
    """Calls of the search, which is not run; what it returns may be set."""
    calls = {"result": auto_result()}

    def search(path, settings, *, report, progress) -> AutoResult:
        progress("fp32")
        calls.update(path=str(path), settings=settings, report=report)
        return calls["result"]

    monkeypatch.setattr("edgeseq.workflows.auto.quantize_auto", search)
    return calls


def test_tables_go_to_standard_output_and_progress_does_not(searched):
    result = call("bundle", "--auto")
    for words in (
        "int8-dynamic",
        "weight alone",
        "on the test recordings",
        "* Times were measured",
    ):
        assert words in result.stdout
    assert (result.stderr, "fp32\n" in result.stdout) == ("fp32\n", False)
    assert (searched["path"], searched["report"]) == ("bundle", None)
    assert searched["settings"].max_drop == 0.5
    assert not searched["settings"].cpu_dependent


def test_what_is_typed_arrives(searched, tmp_path):
    page = tmp_path / "page.html"
    call("b", "--auto", "--max-drop", 1.5, "--seed", 7, "--cpu-dependent", "-o", page)
    settings = searched["settings"]
    assert (settings.max_drop, settings.seed, settings.cpu_dependent) == (1.5, 7, True)
    assert searched["report"] == page


def test_json_is_the_whole_result(searched):
    table = json.loads(call("b", "--auto", "--json").stdout)
    assert AutoResult.from_json(table, where="stdout") == auto_result()


def test_a_promise_that_broke_on_test_is_shown_and_exits_3(searched):
    searched["result"] = replace(auto_result(), broken=("too noisy",), because="it is too noisy")
    result = call("b", "--auto", code=3)
    assert "int8-dynamic" in result.stdout
    assert "Error: it is too noisy; fp32 stays preferred" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--auto", "--recipe", "int8-dynamic"], "--auto does not go with --recipe"),
        (["--seed", "3"], "--seed goes with --auto"),
        (["--cpu-dependent", "-o", "x.html"], "--cpu-dependent, --output goes with --auto"),
        (["--auto", "-o", "x.json"], "x.json is no .html; name the page: -o report.html"),
        (["--auto", "--max-drop", "-1"], "--max-drop -1 is negative"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(searched, arguments, message):
    assert message in call("bundle", *arguments, code=2).stderr
    assert "path" not in searched


def test_a_bundle_that_is_not_there():
    assert "nowhere does not exist" in call("nowhere", "--auto", code=1).stderr
