"""Progress on standard error: a bar where there is a terminal, a line a stage elsewhere."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """Shows how far a long piece of work is; `stage` begins a part, `update` moves the bar."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._tenths = -1

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=console, transient=True)
            self._progress.start()
            self._task = self._progress.add_task("", total=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress:
            self._progress.stop()

    def stage(self, text: str) -> None:
        """Say what begins now."""
        if text == self._stage:
            return
        self._stage, self._tenths = text, -1
        if self._progress and self._task is not None:
            self._progress.reset(self._task, description=text, total=None)
        else:
            click.echo(text, err=True)

    def update(self, done: int, total: int, note: str = "") -> None:
        """Say how far the stage is."""
        if self._progress and self._task is not None:
            text = f"{self._stage}  {note}" if note else self._stage
            self._progress.update(self._task, completed=done, total=total, description=text)
        elif total and (tenths := 10 * done // total) > self._tenths:
            self._tenths = tenths
            click.echo(f"  {done}/{total} {note}".rstrip(), err=True)
