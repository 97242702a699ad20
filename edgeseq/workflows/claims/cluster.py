"""The Ray engine: the same cells on the machines of a cluster, of which any may be lost.

Only cells go out and only results come back. Every node has its own edgeseq, of the same version
and with the same extras, and fetches data for itself. A cell's runs are thrown away with it: one
that needs another's weights trains them again.
"""

import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgeseq import __version__
from edgeseq.claims.cell import Cell, Outcome
from edgeseq.errors import EdgeseqError, UsageError
from edgeseq.extras import require
from edgeseq.workflows.claims.kinds import ONE_THREAD, Measure, measure
from edgeseq.workflows.claims.pool import Outcomes, Waiting

LOOK_S = 5.0
"""Between looks at how many machines there are."""


class Cluster:
    """A Ray cluster as long as the context lasts: one that is there, or one of this machine.

    One CPU a cell. No more cells are out than run: what is ended early, or lost, is as little.
    """

    def __init__(
        self, address: str | None = None, workers: int = 2, measure: Measure = measure
    ) -> None:
        """Connect.

        Args:
            address: HOST:PORT of the head of a cluster that this machine is a node of; none:
                start one here and end it afterwards.
            workers: CPUs of the one started here.
            measure: what to do with a cell.

        Raises:
            EdgeseqError: there is no cluster.
        """
        self._ray, self.measure = require("ray"), measure
        if address:
            _reach(address)  # Ray itself would try for a quarter of an hour
        here = {} if address else {"num_cpus": workers, "include_dashboard": False}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell Ray's makers
        try:
            self._ray.init(
                address or "local", **here,
                runtime_env={"env_vars": ONE_THREAD}, log_to_driver=False, logging_level="ERROR",
            )  # fmt: skip
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            raise _none(address or "this machine", error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ray.shutdown()

    @property
    def workers(self) -> int:
        """CPUs of the machines that are there now."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 0)))

    def run(self, cells: Sequence[Cell]) -> Outcomes:
        """Yield outcomes as they come."""
        task = self._ray.remote(num_cpus=1, max_retries=0)(_measured)
        waiting, running = Waiting(cells), dict[Any, Cell]()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    cell = waiting.next()
                    running[task.remote(self.measure, cell)] = cell
                for done in self._ray.wait(list(running), timeout=LOOK_S)[0]:
                    cell = running.pop(done)
                    outcome = self._outcome(done) or waiting.died(cell)
                    if outcome:
                        yield outcome
        finally:
            for left in running:
                self._ray.cancel(left, force=True)

    def _outcome(self, done: object) -> Outcome | None:
        """Return what a cell came to; none where its worker or its machine was lost."""
        failures = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(done)
        except (
            failures.WorkerCrashedError, failures.NodeDiedError, failures.OutOfMemoryError,
            failures.LocalRayletDiedError, failures.ObjectLostError,
        ):  # fmt: skip
            return None
        except (failures.RaySystemError, failures.RuntimeEnvSetupError) as error:
            raise EdgeseqError(
                f"a node of the cluster cannot run cells ({_last(error)}); install edgeseq "
                f"{__version__} there with the extras train, cpu and ray"
            ) from None
        return outcome


def _measured(measure: Measure, cell: Cell) -> Outcome:
    """Measure a cell on a node, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgeseq-") as folder:
        return measure(cell, Path(folder))


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f'"{address}" is no HOST:PORT of a head; `ray start --head` prints it')
    try:
        socket.create_connection((host, int(port)), timeout=LOOK_S).close()
    except (OSError, OverflowError) as error:
        raise _none(address, error) from None


def _none(where: str, error: Exception) -> EdgeseqError:
    return EdgeseqError(
        f"no Ray cluster at {where} ({_last(error)}); see whether it runs with: ray status"
    )


def _last(error: Exception) -> str:
    return str(error).strip().rpartition("\n")[2]
