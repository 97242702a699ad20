"""`edgeseq advise`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseq.cli import options

if TYPE_CHECKING:
    from edgeseq.claims.scope import Question


def share(text: str) -> float:
    """Return a share, which may be said in per cent: `10%` is 0.1."""
    number = text.strip()
    try:
        return float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no share; say 10% or 0.1") from None


ASKED: dict[str, tuple[str, Any]] = {
    "task": ("Task, or its kind (classes, forecast, text, images, control)", str),
    "data": ("Training data, as a share of what that task has here (10%)", share),
    "length": ("Frames back on which a decision may depend", int),
    "streaming": ("Does it stream, frame by frame", bool),
}
"""What a question needs, and how a terminal is asked for it."""


@click.command(short_help="Say which family, size and precision to take, by what was measured.")
@click.argument("question", required=False, type=click.Path(path_type=Path))
@click.option("--task", metavar="TASK", help="A measured task, or a kind of task: classes.")
@click.option("--data", type=share, help="Training data, as a share of that task's: 10%.")
@click.option("--length", type=int, help="Frames back on which a decision may depend.")
@click.option(
    "--streaming/--no-streaming", default=None, help="Whether each frame gets its answer at once."
)
@click.option("--device", metavar="NAME", help="A device profile; default: where it was measured.")
@click.option("--max-kib", type=float, help="Largest ONNX file.")
@click.option("--max-us", type=float, help="Longest median step; paced where it streams.")
@click.option("--max-mib", type=float, help="Most memory on top of the runtime's.")
@click.option("--max-cpu", "max_cpu_s_per_hour", type=float, help="Most CPU seconds an hour.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Judge by your own: what edgeseq claims -o or bench -o left there.",
)
@options.as_json
def advise(question: Path | None, results: Path | None, as_json: bool, **said: Any) -> None:  # noqa: ANN401
    """Rank families, sizes and precisions for a task, by measured results, with the evidence.

    The question is a TOML, or options, which go first. Beside the answer stands the essay's rule.
    What was not measured is answered by "I don't know", and by the command that would find out.

    \b
    edgeseq advise --task har --data 100% --length 25 --streaming --max-kib 64
    edgeseq advise question.toml --results claims
    """
    from edgeseq.claims.advise import advise as answer
    from edgeseq.claims.evidence import open_evidence
    from edgeseq.report import advice as report

    found = answer(_complete(_question(question, said)), open_evidence(results))
    if as_json:
        options.show(report.as_json(found))
    else:
        options.show_sheets(report.sheets(found))


def _question(file: Path | None, said: dict[str, Any]) -> "Question":
    from dataclasses import replace

    from edgeseq.claims.scope import Question
    from edgeseq.specs import load_toml

    read = load_toml(file, Question) if file else Question()
    return replace(read, **{name: value for name, value in said.items() if value is not None})


def _complete(question: "Question") -> "Question":
    """Ask for what is missing where somebody sits; elsewhere name it."""
    from dataclasses import replace

    from edgeseq.claims.scope import missing
    from edgeseq.errors import UsageError

    left = missing(question)
    if left and not at_terminal():
        needed = " ".join(f"--{name}" for name in left)
        raise UsageError(f"the question does not say {', '.join(left)}; add: {needed}")
    for name in left:
        text, kind = ASKED[name]
        question = replace(question, **{name: click.prompt(text, type=kind, err=True)})
    return question


def at_terminal() -> bool:
    """Say whether somebody can be asked."""
    return sys.stdin.isatty()
