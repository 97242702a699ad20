"""`edgeseq tasks`."""

import dataclasses

import click

from edgeseq.cli import options


@click.command(short_help="List the tasks: data, split, metric.")
@options.as_json
def tasks(as_json: bool) -> None:
    """List the tasks that a model can be trained on. Your own data is a task too: one TOML."""
    from edgeseq.report.text import tasks_table
    from edgeseq.tasks import list_tasks

    found = list_tasks()
    if as_json:
        options.show(
            {
                name: {
                    "summary": task.summary,
                    "source": task.source,
                    "folds": task.folds,
                    "frame": dataclasses.asdict(task.frame),
                    "output": dataclasses.asdict(task.output),
                }
                for name, task in found.items()
            }
        )
    else:
        options.show(tasks_table(found))
