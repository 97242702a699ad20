"""Verdicts can fail: models that are broken on purpose flip the claims that they matter to.

Real trainings, tiny ones: everything is as `edgeseq claims` runs it but for the sizes.
"""

import dataclasses

import pytest

from edgeseq.claims import gru, order, range
from edgeseq.claims.cell import Cell
from edgeseq.claims.plan import SCALES, Plan
from edgeseq.workflows.claims.training import train

SCALE = dataclasses.replace(SCALES["10m"], params=2_000, folds=2)
RATE = 0.012
"""Small models on few steps learn at a high rate."""


class Broken(Plan):
    """A plan whose trainings of one family are broken."""

    def __init__(self, get, families, family="", how="", length=0.25, folds=2):
        """Train `families` alone; what needs others is not measured."""
        asked = lambda cell: get(cell) if cell.settings["family"] in families else None  # noqa: E731
        super().__init__(dataclasses.replace(SCALE, generated=length, folds=folds), asked)
        self.family, self.how = family, how

    def trained(self, task, family, params=None, **changes):
        cells = super().trained(task, family, params, **{"lr": RATE} | changes)
        if family != self.family or changes.get("positions") == "none":
            return cells
        return tuple(Cell("train", {**cell.settings, "broken": self.how}) for cell in cells)


@pytest.fixture(scope="module")
def get(tmp_path_factory):
    """Train what is asked for, once."""
    folder, known = tmp_path_factory.mktemp("runs"), {}

    def run(cell):
        if cell not in known:
            known[cell] = train(cell.settings, folder)
        return known[cell]

    return run


@pytest.fixture(scope="module", autouse=True)
def _one_kind_of_positions():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "POSITIONS", ("none", "rotary"))
        patch.setattr(gru, "TASKS", ("order",))
        patch.setattr(range, "TASKS", ("recall",))
        yield


def test_a_state_that_is_not_fed_back_knows_no_order(get):
    plans = Broken(get, ["lstm"]), Broken(get, ["lstm"], "lstm", "state")
    knows = [order.judge(plan)[0] for plan in plans]
    assert [part.word for part in knows] == ["supported", "refuted"]
    assert knows[1].effect.mean < 60  # of two answers


@pytest.mark.slow  # Transformers take longer to learn
def test_positions_that_are_removed_are_missed(get):
    broken = ("", ""), ("transformer", "positions")
    plans = (Broken(get, ["transformer"], *how, length=0.6, folds=3) for how in broken)
    knows = [order.judge(plan)[2] for plan in plans]
    assert [part.word for part in knows] == ["supported", "refuted"]


def test_shuffled_labels_teach_no_order(get):
    assert order.judge(Broken(get, ["lstm"], "lstm", "labels"))[0].word == "refuted"


@pytest.mark.slow
def test_shuffled_labels_are_no_gru(get):
    ours = ["gru", "lstm"]
    good, bad = (
        gru.judge(plan)[0] for plan in (Broken(get, ours), Broken(get, ours, "gru", "labels"))
    )
    assert [good.word, bad.word] == ["supported", "refuted"]


@pytest.mark.slow
def test_what_never_learned_cannot_forget(get):
    plan = Broken(get, ["lstm"], "lstm", "labels")
    assert range.judge(plan)[0].word == "inconclusive"
