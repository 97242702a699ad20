"""Cells are known by their content, and kept so that nothing is lost."""

import json

import pytest

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.store import LARGEST, Store
from edgeseq.errors import EdgeseqError


def test_the_key_follows_from_the_content():
    cell = Cell("train", {"task": "har", "seed": 0, "lr": 0.004})
    assert cell.key == "1c1cc06ebe7c8a89"  # golden: what is committed is found again
    assert cell == Cell("train", {"lr": 0.004, "seed": 0, "task": "har"})
    assert (
        len({cell, Cell("tune", cell.settings), Cell("train", {**cell.settings, "seed": 1})}) == 3
    )


def test_a_store_is_read_by_whoever_comes_next(tmp_path):
    store = Store(tmp_path, {"cpu": "one"})
    cells = [Cell("train", {"seed": seed}) for seed in range(3)]
    store.add(Outcome(cells[0], {"value": 1.5}, 2.0))
    store.add(Outcome(cells[1], {"failed": "diverged"}, 1.0))
    other = Store(tmp_path, {"cpu": "two"})
    other.add(Outcome(cells[2], {"value": 2.5}, 3.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cells-0001.json",
        "cells-0002.json",
    ]
    again = Store(tmp_path)
    assert [again.get(cell) for cell in cells] == [{"value": 1.5}, None, {"value": 2.5}]
    assert again.machines == [{"cpu": "one"}, {"cpu": "two"}]
    assert cells[1] in again  # a failure is an outcome: it is not tried for ever


def test_files_stay_small_enough_to_commit(tmp_path):
    store = Store(tmp_path)
    for seed in range(60):
        store.add(Outcome(Cell("train", {"seed": seed}), {"text": "x" * 10_000}, 1.0))
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 4
    assert max(sizes) <= LARGEST
    assert len(Store(tmp_path)) == 60


def test_an_older_protocol_is_measured_again(tmp_path):
    Store(tmp_path).add(Outcome(Cell("train", {"seed": 0}), {"value": 1.0}, 1.0))
    path = tmp_path / "cells-0001.json"
    table = json.loads(path.read_text())
    table["cells"][0]["key"] = "0" * 16
    path.write_text(json.dumps(table))
    assert len(Store(tmp_path)) == 0


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 9, "cells": []}', '{"schema": 1}', "[1]"])
def test_what_is_no_file_of_cells(tmp_path, text):
    (tmp_path / "cells-0001.json").write_text(text)
    with pytest.raises(EdgeseqError, match="is no file of cells"):
        Store(tmp_path)
