"""Running a program of this package in a fresh process, which answers with one line of JSON."""

import json
import os
import subprocess
import sys
import time
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
    command = [sys.executable, "-P", "-m", program, json.dumps(request)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=True
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise EdgeseqError(
            f"a fresh process could not run {job.source} on {job.provider}: {words[0]}. "
            f"Try the model alone with: edgeseq check --provider {job.provider}"
        ) from None
    except subprocess.TimeoutExpired:
        raise EdgeseqError(
            f"a fresh process with {job.source} did not end in {TIMEOUT_S} s; try fewer steps"
        ) from None
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
