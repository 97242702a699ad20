"""The two folders that are data, found in a checkout and in a wheel."""

from pathlib import Path

import pytest

import edgeseq.shipped
from edgeseq.shipped import shipped

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("folder", "file"), [("devices", "raspberry-pi-4.toml"), ("export", "recipes")]
)
def test_checkout(folder, file):
    assert Path(str(shipped(folder))) == ROOT / folder
    assert file in {item.name for item in shipped(folder).iterdir()}


@pytest.mark.parametrize("folder", ["devices", "export"])
def test_installed_goes_first(folder, tmp_path, monkeypatch):
    installed = tmp_path / "_shipped" / folder
    installed.mkdir(parents=True)
    monkeypatch.setattr(edgeseq.shipped, "files", lambda package: tmp_path)
    assert shipped(folder) == installed


def test_nothing_else_knows_where_they_lie():
    knowing = [
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "edgeseq").rglob("*.py")
        if '"_shipped"' in file.read_text()
    ]
    assert knowing == ["edgeseq/shipped.py"]
