"""The Ray engine: the pool's results, and a lost machine costs what ran on it."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from watched import began, cells, gone, hold, until, watched

from edgeseq.errors import EdgeseqError, UsageError
from edgeseq.extras import require
from edgeseq.workflows.claims.cluster import Cluster
from edgeseq.workflows.claims.kinds import measure
from edgeseq.workflows.claims.pool import TRIES, Pool


@pytest.fixture(autouse=True)
def ray(monkeypatch):
    """Ray, whose workers find what this process finds. Without Ray all of this fails."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return require("ray")


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "ray://head:x"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(UsageError, match="is no HOST:PORT of a head"):
        Cluster(address)


def test_nobody_there_is_said_at_once():
    with pytest.raises(EdgeseqError, match=r"^no Ray cluster at 127.0.0.1:1 \(.*ray status$"):
        Cluster("127.0.0.1:1")


def test_here_it_does_as_the_pool_does(tmp_path):
    """A killed worker costs its cell, one that always kills fails, closed it ends at once."""
    killed, deadly, *others = cells(4)
    held = hold(tmp_path, killed)
    (tmp_path / f"{deadly.key}.kills").touch()
    with Cluster(workers=2, measure=watched(tmp_path)) as cluster:
        assert cluster.workers == 2
        outcomes = cluster.run([killed, deadly, *others])
        found = {outcome.cell: outcome for outcome in (next(outcomes), next(outcomes))}
        until(lambda: began(tmp_path, killed))
        os.kill(began(tmp_path, killed)[0], signal.SIGKILL)
        held.unlink()
        found |= {outcome.cell: outcome for outcome in outcomes}
        assert found[deadly].failed == f"{TRIES} workers died of it"
        assert {c: found[c].result["value"] for c in (killed, *others)} == {
            killed: 0, others[0]: 2, others[1]: 3,
        }  # fmt: skip
        counts = [len(began(tmp_path, cell)) for cell in (killed, deadly, *others)]
        assert counts == [2, TRIES, 1, 1]

        first, second, third = cells(3, task="adding-16")
        hold(tmp_path, first)
        outcomes = cluster.run([first, second, third])
        next(outcomes)
        until(lambda: began(tmp_path, first))
        outcomes.close()
        until(lambda: gone(began(tmp_path, first)[0]), seconds=10)
        assert not began(tmp_path, third)


def kill_in_the_middle(machines, node, log, running, held):
    """Wait until each node runs a held cell; kill `node`, let go, return the cell that it ran."""
    raylet = node.all_processes["raylet"][0].process.pid
    try:
        until(lambda: all(began(log, cell) for cell in running))
        (lost,) = (cell for cell in running if parent(began(log, cell)[0]) == raylet)
        machines.remove_node(node, allow_graceful=False)
    finally:
        for file in held:
            file.unlink()
    return lost


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_a_lost_node_costs_the_cell_that_ran_on_it(tmp_path, ray):
    """Two nodes, one killed in the middle: the pool's results, bit for bit."""
    from ray.cluster_utils import Cluster as Machines

    grid = cells(6)
    held = [hold(tmp_path, cell) for cell in grid[2:]]
    machines = Machines(initialize_head=True, head_node_args={"num_cpus": 1})
    second = machines.add_node(num_cpus=1)
    try:
        with (
            Cluster(machines.address, measure=watched(tmp_path, measure)) as cluster,
            ThreadPoolExecutor() as threads,
        ):
            assert cluster.workers == 2
            killer = threads.submit(kill_in_the_middle, machines, second, tmp_path, grid[2:4], held)
            results = {outcome.cell: outcome.result for outcome in cluster.run(grid)}
            lost = killer.result()
    finally:
        machines.shutdown()
    assert {cell for cell in grid if len(began(tmp_path, cell)) > 1} == {lost}
    assert len(began(tmp_path, lost)) == 2
    assert results == {o.cell: o.result for o in Pool(tmp_path, 2).run(grid)}
    assert len({result["value"] for result in results.values()}) == len(grid)
