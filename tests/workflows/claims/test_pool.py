"""The local engine: what a worker does to its cell, it does to no other."""

import os
import signal

import torch
from watched import began, cells, gone, hold, until, watched

from edgeseq.workflows.claims.kinds import measure
from edgeseq.workflows.claims.pool import TRIES, Pool


def test_two_workers_give_the_same_bits_as_none(tmp_path, monkeypatch):
    """Each worker has one cell and nothing before it; here they follow all of the other tests."""
    two, threads = cells(2), torch.get_num_threads()
    pooled = {o.cell: o.result for o in Pool(tmp_path / "pool", 2).run(two)}
    torch.set_num_threads(1)
    try:
        here = {cell: measure(cell, tmp_path / "here").result for cell in two}
    finally:
        torch.set_num_threads(threads)
    assert pooled == here
    assert len({result["value"] for result in here.values()}) == 2


def test_a_killed_worker_costs_its_cell_alone(tmp_path):
    first, *others = cells(4)
    held = hold(tmp_path, first)
    outcomes = Pool(tmp_path, 2, watched(tmp_path)).run([first, *others])
    assert next(outcomes).cell == others[0]
    until(lambda: began(tmp_path, first))
    os.kill(began(tmp_path, first)[0], signal.SIGKILL)
    held.unlink()
    assert {o.cell: o.result["value"] for o in outcomes} == {first: 0, others[1]: 2, others[2]: 3}
    assert [len(began(tmp_path, cell)) for cell in (first, *others)] == [2, 1, 1, 1]


def test_a_cell_that_always_kills_fails(tmp_path):
    first, *others = cells(3)
    (tmp_path / f"{first.key}.kills").touch()
    found = {o.cell: o for o in Pool(tmp_path, 1, watched(tmp_path)).run([first, *others])}
    assert found[first].failed == "3 workers died of it"
    assert not any(found[cell].failed for cell in others)
    assert [len(began(tmp_path, cell)) for cell in (first, *others)] == [TRIES, 1, 1]


def test_closed_it_ends_every_worker_at_once(tmp_path):
    first, second, third = cells(3)
    hold(tmp_path, first)
    outcomes = Pool(tmp_path, 2, watched(tmp_path)).run([first, second, third])
    next(outcomes)
    until(lambda: began(tmp_path, first))
    outcomes.close()
    pids = [*began(tmp_path, first), *began(tmp_path, second)]
    assert len(set(pids)) == 2
    until(lambda: all(map(gone, pids)), seconds=5)
    assert not began(tmp_path, third)
