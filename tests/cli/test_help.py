"""What the command line promises before it does anything."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from edgeseq import __version__
from edgeseq.cli import main

COMMANDS = main.commands


def test_verbs_come_in_the_order_of_the_work():
    assert list(COMMANDS) == [
        "tasks", "train", "export", "quantize", "check", "run", "explain", "bench", "compare",
        "report", "inspect", "devices", "demo", "claims", "advise",
    ]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name):
    command = COMMANDS[name]
    assert command.help
    assert command.short_help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json(name):
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys; from edgeseq.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'torch', 'onnxruntime', 'onnx', 'numpy', 'rich', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_families_offered_are_families_there_are():
    from edgeseq.families import FAMILIES

    model = next(p for p in COMMANDS["train"].params if p.name == "model")
    assert list(model.type.choices) == list(FAMILIES)


def test_version():
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"edgeseq, version {__version__}\n"


def test_module_runs():
    command = [sys.executable, "-m", "edgeseq", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"edgeseq, version {__version__}\n"
