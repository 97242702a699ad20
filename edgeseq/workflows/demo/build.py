"""The demo's models: trained and exported side by side, each in a process of its own.

The processes go away before anything is timed, and take PyTorch with them. What is finished in
their folder is kept, what was interrupted goes on.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from edgeseq.bundle import Bundle, load_bundle
from edgeseq.errors import BundleError, CheckpointError, EdgeseqError, PromiseError, UsageError
from edgeseq.workflows.producer import producer

Progress = Callable[[str], None]

_ERRORS: dict[int, type[EdgeseqError]] = {1: EdgeseqError, 2: UsageError, 3: PromiseError}


@dataclass(frozen=True)
class Build:
    """One model to be trained and exported."""

    family: str
    task: str
    params: int
    seed: int
    fold: int
    folder: Path
    """Holds `run`, `bundle`, and `sequence` where there is one."""
    steps: int | None = None
    """Training steps; none: the default."""
    sequence: bool = False
    """Export the whole-sequence graph, too."""


def build_models(
    builds: Sequence[Build], *, workers: int = 2, progress: Progress | None = None
) -> None:
    """Train and export all `builds`, `workers` at a time, each on one core.

    Interrupting ends the processes; the same call later goes on from the last look of each.

    Raises:
        CheckpointError: a folder holds a run with other settings.
        PromiseError: a graph did not give what PyTorch gives.
        EdgeseqError: a process failed.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers cannot work; give 1 or more")
    waiting, shares = list(builds), dict.fromkeys((build.family for build in builds), "0 %")
    say = progress or (lambda _: None)
    with _processes() as running:
        while waiting or running:
            while waiting and len(running) < workers:
                _start(waiting.pop(0), running)
            ready = wait(list(running))
            for pipe in [pipe for pipe in running if pipe in ready]:
                family = running[pipe][1]
                message = _receive(pipe, running)
                shares[family] = message
                say("train " + ", ".join(f"{name} {share}" for name, share in shares.items()))


Running = dict[Connection, tuple[BaseProcess, str]]


@contextmanager
def _processes() -> Iterator[Running]:
    """Yield a table of running processes; none of them outlives the block."""
    running: Running = {}
    try:
        yield running
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join()


def _start(build: Build, running: Running) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of loaded libraries
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(build, theirs), daemon=True)
    process.start()
    theirs.close()
    running[ours] = (process, build.family)


def _receive(pipe: Connection, running: Running) -> str:
    """Return what a process reports; raise what it failed with."""
    process, family = running[pipe]
    try:
        kind, code, text = pipe.recv()
    except EOFError:  # it ended
        running.pop(pipe)
        process.join()
        if process.exitcode:
            raise EdgeseqError(
                f"the process that trains the {family} ended with exit code {process.exitcode}. "
                f"Try it alone with: edgeseq train --model {family}"
            ) from None
        return "done"
    if kind == "error":
        raise _ERRORS.get(code, EdgeseqError)(text)
    return str(text)


def _work(build: Build, pipe: Connection) -> None:
    """Train and export in a fresh process; what it has to say goes through `pipe`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C reaches us too; the parent ends us
    try:
        _train_and_export(build, _reporter(pipe))
    except EdgeseqError as error:
        pipe.send(("error", error.exit_code, str(error)))


def _reporter(pipe: Connection) -> Callable[[str], None]:
    parent, told = multiprocessing.parent_process(), [""]

    def report(text: str) -> None:
        if parent is not None and not parent.is_alive():  # killed: nobody waits for us
            os._exit(1)
        if text != told[0]:
            told[0] = text
            pipe.send(("progress", 0, text))

    return report


def _train_and_export(build: Build, report: Callable[[str], None]) -> None:
    from edgeseq.workflows.export import ExportSettings, export_run
    from edgeseq.workflows.train import TrainRequest, train

    run, bundle = build.folder / "run", build.folder / "bundle"
    request = TrainRequest(
        task=build.task,
        model=build.family,
        params=build.params,
        seed=build.seed,
        fold=build.fold,
        steps=build.steps,
        resume=True,
    )
    train(request, run, progress=lambda step, steps, *_: report(f"{10 * (10 * step // steps)} %"))
    if not is_current(bundle, run):
        report("exporting")
        export_run(run, bundle)
    sequence = build.folder / "sequence"
    if build.sequence and not is_current(sequence, run):
        report("exporting the sequence form")
        export_run(run, sequence, ExportSettings(form="sequence"))


def is_current(bundle: Path, run: Path) -> bool:
    """Say whether a bundle was made from this very run, by this very edgeseq."""
    try:
        manifest = load_bundle(bundle).manifest
        made = (bundle / "model.onnx").stat().st_mtime_ns
        trained = (run / "run.json").stat().st_mtime_ns
    except (BundleError, OSError):
        return False
    return manifest.producer == producer() and made >= trained


def read_run(run: Path) -> Mapping[str, Any]:
    """Return the `run.json` of a finished run, without loading PyTorch."""
    try:
        table: Mapping[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {run / 'run.json'}: {error}. Train again") from None
    return table


def describe(bundle: Bundle, table: Mapping[str, Any]) -> str:
    """Say what sizes a model has, in a few words."""
    spec = table["spec"]
    if bundle.manifest.origin.family == "lstm":
        return f"{spec['layers']} layers of {spec['hidden']} units"
    if bundle.manifest.origin.family == "transformer":
        return (
            f"{spec['layers']} blocks, width {spec['width']}, feed-forward "
            f"{spec['feed_forward']}, {spec['heads']} heads, window {spec['window']} frames"
        )
    return ", ".join(f"{name} {value}" for name, value in spec.items())
