"""A run of claims: what is kept is never measured again, and how long the rest takes."""

from dataclasses import replace
from pathlib import Path

import pytest
from watched import began, cells, gone, hold, until, watched

from edgeseq.claims.cell import Cell, Outcome
from edgeseq.claims.claim import Claim, load_claim
from edgeseq.claims.plan import SCALES
from edgeseq.claims.store import Store
from edgeseq.workflows.claims import kinds
from edgeseq.workflows.claims.pool import Pool
from edgeseq.workflows.claims.run import Run, State, measure_claims, state


def claim_of(grid: list[Cell]) -> Claim:
    return replace(load_claim("order"), grid=lambda _: grid)


def run_of(grid: list[Cell], folder: Path) -> Run:
    return Run((claim_of(grid),), SCALES["10m"], Store(folder / "cells"))


def trainings(task: str, family: str = "lstm", kind: str = "train", count: int = 1, **changes):
    settings = {"task": task, "family": family, "params": 1, "fold": 0, "lr": 0.1, **changes}
    return [Cell(kind, {**settings, "seed": seed}) for seed in range(count)]


def test_interrupted_it_goes_on_with_what_is_missing(tmp_path):
    grid = cells(3)
    held = hold(tmp_path, grid[0])
    pool = Pool(tmp_path, 2, watched(tmp_path))

    def interrupt(_: State) -> None:
        until(lambda: began(tmp_path, grid[0]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_claims(run_of(grid, tmp_path), tmp_path, engine=pool, progress=interrupt)
    until(lambda: gone(began(tmp_path, grid[0])[0]), seconds=5)
    held.unlink()
    run = run_of(grid, tmp_path)
    assert [cell in run.store for cell in grid] == [False, True, False]
    assert measure_claims(run, tmp_path, engine=pool)
    assert [len(began(tmp_path, cell)) for cell in grid] == [2, 1, 1]
    assert len(run_of(grid, tmp_path).store) == 3


def test_time_left_is_told_from_the_closest_like(tmp_path):
    first, second, third, fourth = trainings("order", count=4)
    other = trainings("order", "gru")
    elsewhere = trainings("text")
    searched = [Cell("tune", {"task": "text", "fold": 0})]
    run = run_of([first, second, third, fourth, *other, *elsewhere, *searched], tmp_path)
    assert state(run, 2) == State(0, 7, None, None)
    last = Outcome(first, {}, 10.0)
    run.store.add(last)
    assert state(run, 2, last) == State(1, 7, 6 * 10 / 2, last)  # all it knows of anything
    run.store.add(Outcome(second, {}, 20.0))
    run.store.add(Outcome(other[0], {}, 60.0))
    # Two more of this family take 15 s each; another task and another kind as long as any cell.
    assert state(run, 1).left_s == pytest.approx(2 * 15 + 30 + 30)
    assert state(run, 3).left_s == pytest.approx((2 * 15 + 30 + 30) / 3)
    for cell in (third, fourth, *elsewhere, *searched):
        run.store.add(Outcome(cell, {"failed": "why"}, 1.0))
    assert state(run, 2) == State(7, 7, 0.0, None)


def test_what_waits_for_the_search_is_counted(tmp_path):
    waiting = trainings("order", count=2, lr=None)
    known = trainings("order", count=2)
    run = run_of([*known, *waiting], tmp_path)
    run.store.add(Outcome(known[0], {}, 8.0))
    assert run.missing() == [known[1]]
    assert state(run, 2) == State(1, 4, 3 * 8 / 2, None)


def test_what_runs_alone_takes_its_whole_time(tmp_path, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "latency", kinds.Work("none", "none", alone=True))
    together, alone = trainings("order", count=2), trainings("order", kind="latency", count=2)
    run = run_of([*together, *alone], tmp_path)
    run.store.add(Outcome(together[0], {}, 12.0))
    run.store.add(Outcome(alone[0], {}, 5.0))
    assert state(run, 4).left_s == pytest.approx(12 / 4 + 5)
