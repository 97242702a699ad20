"""What a budget buys: the same for everybody, and known before anything runs."""

import pytest

from edgeseq.claims import CLAIMS
from edgeseq.claims.claim import load_claim
from edgeseq.claims.plan import LONGER, RATES, SCALES, TUNING_SEED, Plan, all_cells, ready

FULL = SCALES["full"]


def test_five_seeds_and_every_fold_twice():
    draws = FULL.draws("har")
    assert sorted({fold for fold, _ in draws}) == sorted({seed for _, seed in draws}) == [*range(5)]
    assert len(set(draws)) == 10
    assert draws[:5] == tuple((n, n) for n in range(5))
    assert FULL.draws("glucose") == tuple((0, seed) for seed in range(5))
    assert FULL.draws("recall-512") == draws[:5]


def searched(validation, better=True):
    """Return a `get` that knows the search's scores by learning rate and length."""

    def get(cell):
        if cell.kind != "tune":
            return None
        value = validation.get((cell.settings["lr"], cell.settings["length"]))
        return None if value is None else {"validation": value, "higher_is_better": better}

    return get


@pytest.mark.parametrize(("better", "sign"), [(True, 1), (False, -1)])
def test_the_search_takes_the_best_by_validation(better, sign):
    known = {(rate, 1.0): sign * value for rate, value in zip(RATES, (1, 3, 2), strict=True)}
    plan = Plan(FULL, searched(known, better))
    cells = plan.trained("har", "lstm")
    assert not any(map(ready, cells))  # the longer one is missing
    longer = plan.searched["har", "lstm"][-1].settings
    assert (longer["lr"], longer["length"], longer["seed"]) == (RATES[1], LONGER, TUNING_SEED)
    known[RATES[1], LONGER] = sign * 4
    cells = Plan(FULL, searched(known, better)).trained("har", "lstm")
    assert {(c.settings["lr"], c.settings["length"]) for c in cells} == {(RATES[1], LONGER)}
    known[RATES[1], LONGER] = sign * 2
    cells = Plan(FULL, searched(known, better)).trained("har", "lstm", share=0.1)
    assert {(c.settings["lr"], c.settings["length"]) for c in cells} == {(RATES[1], 1.0)}


def test_every_family_is_searched_alike():
    plan = Plan(FULL, lambda _: None)
    for claim in CLAIMS:
        all_cells(plan, load_claim(claim).grid)
    settings = {
        tuple((cell.settings["lr"], cell.settings["length"]) for cell in cells)
        for cells in plan.searched.values()
    }
    assert settings == {tuple((rate, 1.0) for rate in RATES)}
    assert all(cell.settings["seed"] == TUNING_SEED for c in plan.searched.values() for cell in c)


def test_gains_are_points_or_per_cent_of_the_error():
    values = {"lstm": 20.0, "gru": 19.0}

    def get(cell):
        value = values[cell.settings["family"]] + cell.settings["seed"] / 10
        return {"value": value, "higher_is_better": cell.settings["task"] == "images"}

    plan = Plan(SCALES["10m"], get)
    for task, mean, unit in (("images", -1, "points"), ("glucose", 100 / 20.1, "%")):
        found = plan.gain(plan.trained(task, "gru"), plan.trained(task, "lstm"))
        assert found.mean == pytest.approx(mean)
        assert (found.unit, found.seed_sd) == (unit, pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("name", CLAIMS)
def test_a_declaration_is_fixed_by_what_it_says(name):
    claim = load_claim(name)
    for scale in SCALES.values():
        declared = claim.declaration(scale)
        assert declared == claim.declaration(scale)
        assert declared["cells"] > 0
        assert {"sentence", "protocol", "metrics", "rules", "grid", "rule"} <= declared.keys()
    assert claim.declaration(FULL)["sha256"] != claim.declaration(SCALES["10m"])["sha256"]
    plan = Plan(FULL, lambda _: None)
    assert claim.verdict(plan).word == "not measured"
    assert all(part.word == "not measured" for part in claim.judge(plan))
    assert claim.figures(plan) is not None
