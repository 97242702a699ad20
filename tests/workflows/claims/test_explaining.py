"""The cells that explain: agreements in per cent, and what is inside for one example."""

import json

import numpy as np
import pytest

from edgeseq.claims import explain
from edgeseq.claims.plan import SCALES, Plan
from edgeseq.workflows.claims.explaining import UNITS, explained

SETTINGS = {
    "task": "order", "params": 1500, "fold": 0, "seed": 0, "lr": 0.012, "length": 0.02, "inputs": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "method", "inside", "rows"),
    [("lstm", "gates", "kept", None), ("transformer", "attention", "attended", 32)],
)
def test_what_is_inside_is_shown_and_ranked(family, method, inside, rows, tmp_path):
    found = explained({**SETTINGS, "family": family, "picture": True}, tmp_path)
    assert {method, "gradient", "integrated", "inputs", inside, "occlusion", "label"} == {*found}
    assert found["inputs"] == 2
    assert all(-100 <= found[name] <= 100 for name in (method, "gradient", "integrated"))
    values = np.array(found[inside])
    assert values.shape[1] == len(found["occlusion"]) == 32
    assert len(values) == rows or len(values) <= UNITS
    assert ((values >= 0) & (values <= 1)).all()
    if family == "transformer":
        np.testing.assert_allclose(values.sum(1), 1, atol=0.1)  # rows of shares, rounded
        assert np.triu(values, 1).max() == 0  # nobody attends to what is to come
    assert len(json.dumps(found)) < 8000
    plain = explained({**SETTINGS, "family": family}, tmp_path)
    assert plain == {name: found[name] for name in plain}
    assert inside not in plain


def test_maps_are_drawn_from_the_first_training():
    kept = {"kept": [[0.1, 0.9, 0.5, 0.2]], "occlusion": [0.0, 3.0, 1.0, 2.0], "label": "a"}
    plan = Plan(SCALES["10m"], lambda cell: kept if cell.settings.get("picture") else None)
    maps = [figure for figure in explain.figures(plan) if figure.title.startswith("Forget")]
    assert [figure.values for figure in maps] == [((0.1, 0.9, 0.5, 0.2),)] * 2
    assert "by occlusion frames 1, 2, 3 mattered most" in maps[0].caption
