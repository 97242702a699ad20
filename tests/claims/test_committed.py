"""The committed cells: readable, small, each under the key that follows from its content."""

import json
from pathlib import Path

import pytest

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.store import Store
from edgeseq.shipped import shipped

FOLDER = Path(str(shipped("devices") / "results" / "claims"))
LARGEST = 200_000
MACHINE = {"cpu": "a CPU", "cores": 2, "onnxruntime": "onnxruntime 1.32.0"}


def mistakes(folder: Path) -> list[str]:
    """What is wrong with a folder of cells."""
    found, seen = [], set()
    Store(folder)  # or an error
    for path in sorted(folder.rglob("*.*")):
        if path.suffix != ".json" or path.parent != folder or not path.match("cells-*.json"):
            found.append(f"{path.name}: no file of cells")
            continue
        if path.stat().st_size > LARGEST:
            found.append(f"{path.name}: too large")
        table = json.loads(path.read_text())
        if not {"cpu", "cores", "onnxruntime"} <= table["about"].keys():
            found.append(f"{path.name}: no machine")
        for row in table["cells"]:
            if Cell(row["kind"], row["settings"]).key != row["key"]:
                found.append(f"{path.name}: {row['key']} is not the key of its cell")
            if row["key"] in seen:
                found.append(f"{path.name}: {row['key']} again")
            seen.add(row["key"])
    return found


def test_what_is_committed():
    assert mistakes(FOLDER) == []


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path, MACHINE)
    for seed in range(2):
        store.add(Outcome(Cell("train", {"seed": seed}), {"value": 1.0}, 1.0))
    assert mistakes(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["cells"][0]["settings"].update(seed=5), "is not the key of its cell"),
        (lambda t: t["cells"].append(t["cells"][0]), "again"),
        (lambda t: t["about"].pop("cores"), "no machine"),
        (lambda t: t["cells"][0]["result"].update(text="x" * LARGEST), "too large"),
    ],
)
def test_a_mistake_would_be_seen(folder, change, said):
    path = folder / "cells-0001.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    assert any(said in mistake for mistake in mistakes(folder))


def test_other_files_would_be_seen(folder):
    (folder / "report.html").write_text("")
    assert mistakes(folder) == ["report.html: no file of cells"]
