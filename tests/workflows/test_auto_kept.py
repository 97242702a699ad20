"""Findings survive, and only what they do not depend on may change."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from edgeseq.stored import StoredResult
from edgeseq.workflows.auto.kept import Kept, digest


@dataclass(frozen=True)
class Finding(StoredResult):
    VERSION: ClassVar[int] = 1
    COMMAND: ClassVar[str] = "pytest"

    value: float


def make(value: float, made: list[float]):
    def run() -> Finding:
        made.append(value)
        return Finding(1, value)

    return run


def test_what_is_kept_is_not_made_again(tmp_path):
    made: list[float] = []
    key = {"file": "abc", "recipe": {"method": "dynamic"}}
    first = Kept(tmp_path, Finding).get(key, make(1 / 3, made))
    kept = Kept(tmp_path, Finding)
    again = kept.get({"recipe": {"method": "dynamic"}, "file": "abc"}, make(2.0, made))
    assert again == first == Finding(1, 1 / 3)
    assert (made, kept.found) == ([1 / 3], 1)
    assert [file.name for file in tmp_path.iterdir()] == [f"{digest({'schema': 1, **key})}.json"]


@pytest.mark.parametrize(
    "other", [{"file": "abd", "recipe": 1}, {"file": "abc", "recipe": 2}, {"file": "abc"}]
)
def test_whatever_a_finding_depends_on_makes_another(tmp_path, other):
    made: list[float] = []
    kept = Kept(tmp_path, Finding)
    kept.get({"file": "abc", "recipe": 1}, make(1.0, made))
    assert kept.get(other, make(2.0, made)).value == 2.0
    assert len(list(tmp_path.iterdir())) == 2


def test_another_form_makes_another(tmp_path, monkeypatch):
    made: list[float] = []
    Kept(tmp_path, Finding).get({"file": "abc"}, make(1.0, made))
    monkeypatch.setattr(Finding, "VERSION", 2)
    assert Kept(tmp_path, Finding).get({"file": "abc"}, make(2.0, made)).value == 2.0


@pytest.mark.parametrize("damage", [b"", b'{"schema": 1', b'{"schema": 1, "val": 2}', b"[]"])
def test_a_damaged_file_is_no_finding(tmp_path, damage):
    made: list[float] = []
    kept = Kept(tmp_path, Finding)
    kept.get({"file": "abc"}, make(1.0, made))
    next(tmp_path.iterdir()).write_bytes(damage)
    assert kept.get({"file": "abc"}, make(2.0, made)).value == 2.0
    assert kept.get({"file": "abc"}, make(3.0, made)).value == 2.0


def test_what_fails_is_not_kept(tmp_path):
    def fail() -> Finding:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Kept(tmp_path, Finding).get({"file": "abc"}, fail)
    assert not list(tmp_path.iterdir())
