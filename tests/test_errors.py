"""The tree of errors is the one in its docstring, exit codes and all."""

import inspect
import pickle
import re

import pytest

from edgeseq import errors
from edgeseq.errors import ConfigError, EdgeseqError, MissingExtraError, StreamError

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, EdgeseqError)
}


def test_docstring_draws_the_tree():
    drawn = dict(re.findall(r"(\w+Error) +exit (\d)", errors.__doc__))
    assert {name: str(kind.exit_code) for name, kind in CLASSES.items()} == drawn


@pytest.mark.parametrize("name", CLASSES)
def test_all_are_caught_as_one(name):
    assert issubclass(CLASSES[name], EdgeseqError)
    assert CLASSES[name].__doc__


def test_exit_codes():
    codes = {kind.exit_code: set() for kind in CLASSES.values()}
    for name, kind in CLASSES.items():
        codes[kind.exit_code].add(name)
    assert codes.keys() == {1, 2, 3}
    assert codes[2] == {"UsageError", "ConfigError"}
    assert codes[3] == {"PromiseError"}


def test_config_error_lists_every_mistake():
    error = ConfigError("x.toml", iter(["a: wrong", "b: missing"]))
    assert error.mistakes == ("a: wrong", "b: missing")
    assert error.where == "x.toml"
    assert str(error) == "x.toml: 2 mistakes\n  - a: wrong\n  - b: missing"
    assert str(ConfigError("x.toml", ["a: wrong"])) == "x.toml: 1 mistake\n  - a: wrong"


def test_missing_extra_is_a_sentence_and_a_command():
    error = MissingExtraError("torch", "train")
    assert error.extra == "train"
    assert str(error) == (
        'this needs torch, which is not installed. Install it with: pip install "edgeseq[train]"'
    )


def test_a_wrong_frame_is_a_value_error_too():
    assert issubclass(StreamError, ValueError), "what NumPy users expect"


@pytest.mark.parametrize(
    "error", [ConfigError("x.toml", ["a: wrong"]), MissingExtraError("onnx", "tools")]
)
def test_errors_survive_a_worker_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
