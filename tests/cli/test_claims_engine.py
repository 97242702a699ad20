"""`edgeseq claims`: where cells run, and ctrl-C."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from watched import began, gone, hold, until, watched

from edgeseq.cli import main
from edgeseq.workflows.claims import run as workflow
from edgeseq.workflows.claims.pool import Pool
from edgeseq.workflows.claims.run import open_run

PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from edgeseq.cli import main
from edgeseq.workflows.claims import run
from edgeseq.workflows.claims.pool import Pool
from watched import watched

if __name__ == "__main__":
    run.Pool = partial(Pool, measure=watched(Path(sys.argv[1])))
    main(sys.argv[2:])
"""
COMMAND = ["claims", "order", "--budget", "10m"]


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(tmp_path, monkeypatch):
    out, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(PROGRAM)
    cells = open_run(["order"], "10m", out).missing()
    held = hold(tmp_path, cells[1])
    process = subprocess.Popen(
        [sys.executable, program, tmp_path, *COMMAND, "-o", out],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        # A shell's background jobs ignore ctrl-C, and what they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    # One worker is held; the other does all the rest, which is kept before the signal.
    until(lambda: len(open_run(["order"], "10m", out).store) == len(cells) - 1)
    until(lambda: began(tmp_path, cells[1]))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does on ctrl-C
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130, error
    assert "Interrupted. Nothing finished is lost; the same command goes on" in error
    until(lambda: gone(began(tmp_path, cells[1])[0]), seconds=5)
    assert open_run(["order"], "10m", out).missing() == [cells[1]]

    held.unlink()
    monkeypatch.setattr(workflow, "Pool", partial(Pool, measure=watched(tmp_path)))
    done = CliRunner().invoke(main, [*COMMAND, "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert open_run(["order"], "10m", out).complete
    assert {len(began(tmp_path, cell)) for cell in cells if cell != cells[1]} == {1}
    assert len(began(tmp_path, cells[1])) == 2


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--address", "head:6379"], 2, "--address is of a Ray cluster; add --engine ray"),
        (["--engine", "ray"], 1, 'Install it with: pip install "edgeseq[ray]"'),
    ],
)
def test_what_an_engine_needs_is_said_in_a_line(options, code, said, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = CliRunner().invoke(main, [*COMMAND, "-o", str(tmp_path), *options])
    assert done.exit_code == code, done.output
    assert done.stderr.rstrip().endswith(said)


def test_cells_go_to_the_cluster_that_is_named(tmp_path, monkeypatch):
    from edgeseq.workflows.claims import cluster

    class Machines(Pool):
        """A pool in a cluster's clothes, which remembers where it is."""

        def __init__(self, address: str | None, workers: int) -> None:
            super().__init__(tmp_path, workers, watched(tmp_path))
            addresses.append(address)

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            addresses.append("left")

    addresses: list[str | None] = []
    monkeypatch.setattr(cluster, "Cluster", Machines)
    monkeypatch.setattr(workflow, "Pool", None)
    options = ["--engine", "ray", "--address", "head:6379", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*COMMAND, *options])
    assert done.exit_code == 0, done.output
    assert addresses == ["head:6379", "left"]
    assert all(began(tmp_path, cell) for cell in open_run(["order"], "10m", Path("none")).cells())
