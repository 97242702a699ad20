"""Running a program of this package in a fresh process, which answers with one line of JSON."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeseq.contract import SessionSettings
from edgeseq.errors import EdgeseqError

TIMEOUT_S = 300
"""The first session on a GPU may take minutes."""


@dataclass(frozen=True)
class Job:
    """One model as a fresh process runs it."""

    source: Path
    """Bundle directory or `.onnx` file."""
    variant: str | None
    provider: str
    session: SessionSettings
    frame: tuple[float, ...]
    """The frame `(F,)` that is fed at every step."""
    steps: int = 1000
    """Steps after the first one."""
    growth_seconds: float = 0.4
    """Time for the steps after those, which look for growth; more time sees slower growth."""


def run_fresh(program: str, job: Job, **options: object) -> dict[str, Any]:
    """Run `job` in a fresh process of the module `program` and return its report.

    Its main function gets the job and `options` as one table. A process that fails, or does not
    end, is an `EdgeseqError` with its last words.
    """
    request = {
        "source": str(job.source),
        "variant": job.variant,
        "provider": job.provider,
        "session": asdict(job.session),
        "frame": job.frame,
        "steps": job.steps,
        "growth_seconds": job.growth_seconds,
        **options,
        "spawned_ns": time.monotonic_ns(),  # one clock for all processes of a machine
    }
    return run_program(
        program,
        request,
        f"a fresh process could not run {job.source} on {job.provider}",
        advice=f"Try the model alone with: edgeseq check --provider {job.provider}",
    )


def run_program(
    program: str,
    request: Mapping[str, object],
    what: str,
    *,
    advice: str = "",
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run the module `program` on a JSON `request` in a fresh process; return its report.

    Args:
        program: a module of this package, run as `__main__`.
        request: its only argument.
        what: how the error begins, where it fails.
        advice: how that error ends.
        environment: variables on top of those of this process.

    Raises:
        EdgeseqError: the process failed, or did not end; with its last words.
    """
    command = [sys.executable, "-P", "-m", program, json.dumps(request)]
    path = os.pathsep.join(filter(None, sys.path))
    variables = {**os.environ, "PYTHONPATH": path, **(environment or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=variables, check=True
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise EdgeseqError(f"{what}: {words[0]}. {advice}".rstrip()) from None
    except subprocess.TimeoutExpired:
        raise EdgeseqError(f"{what}: it did not end in {TIMEOUT_S} s; try fewer steps") from None
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
