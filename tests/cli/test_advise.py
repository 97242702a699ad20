"""`edgeseq advise`: options, a TOML, a terminal; what is missing is named."""

import json
import sys

import pytest
from claims.filled import filled
from click.testing import CliRunner

from edgeseq.claims.store import Store
from edgeseq.cli import main

WORDS = ("--task", "har", "--data", "100%", "--length", "20", "--streaming")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    store = Store(folder / "cells", {"cpu": "a CPU"})
    for outcome in filled("10m", ("gru", "data")):
        store.add(outcome)
    return folder


def invoke(*words, **more):
    return CliRunner().invoke(main, ["advise", *map(str, words)], **more)


def test_options(results):
    done = invoke(*WORDS, "--results", results)
    assert done.exit_code == 0, done.output
    assert "Take: gru fp32, 5,000 parameters" in done.output
    assert "Runner-up: lstm fp32, 5,000 parameters" in done.output
    assert "What would change this:" in done.output
    assert "The essay: take a Transformer, unless all hold" in done.output
    assert "The measurements disagree" in done.output


def test_a_toml_and_an_option_that_goes_first(results, tmp_path):
    file = tmp_path / "question.toml"
    file.write_text('task = "text"\ndata = 1.0\nlength = 20\nstreaming = true\n')
    done = invoke(file, "--task", "har", "--results", results, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["question"]["task"] == "har"
    assert found["ranked"][0]["family"] == "gru"
    done = invoke(file, "--results", results)
    assert done.exit_code == 0
    assert done.output.startswith("I don't know.\ntext was not measured")
    file.write_text("tasks = 1\n")
    assert "unknown key" in invoke(file).stderr


def test_what_is_missing_is_named():
    done = invoke("--task", "har", "--streaming")
    assert done.exit_code == 2
    assert done.stderr == ("Error: the question does not say data, length; add: --data --length\n")
    assert "say 10% or 0.1" in invoke("--data", "much").output


def test_a_terminal_is_asked(results, monkeypatch):
    module = sys.modules["edgeseq.cli.advise"]  # the package's name for it is the command
    monkeypatch.setattr(module, "at_terminal", lambda: True)
    done = invoke("--task", "har", "--results", results, input="much\n100%\n20\ny\n")
    assert done.exit_code == 0, done.output
    assert "Take: gru fp32" in done.output
    assert "Frames back" in done.stderr
