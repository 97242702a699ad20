"""What is asked of `advise`, and whether anything of the kind was measured at all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from edgeseq.claims.evidence import Evidence
from edgeseq.claims.plan import base
from edgeseq.devices import is_device, load_device
from edgeseq.errors import ConfigError
from edgeseq.tasks import load_task

KINDS: Mapping[str, tuple[str, ...]] = {
    "classes": ("har", "digits"),
    "forecast": ("glucose", "electricity", "price", "volatility"),
    "text": ("text",),
    "images": ("images",),
    "control": ("control",),
}
"""Tasks of a kind: an answer for the kind has to hold on every one that was measured."""
FAR = ("recall", "adding")
"""Tasks that ask after frames that lie far back, at any distance."""
NEAR = 2.0
"""A share of the data is judged by one that was measured and differs by no more than this."""
REACH = 128
"""Frames that a model was trained on in one piece, where a task says nothing."""
ANY = "any"


@dataclass(frozen=True)
class Question:
    """What is to be built; also the form of a TOML."""

    task: str | None = None
    """A task that was measured, or a kind: `classes`, `forecast`, `text`, `images`, `control`."""
    data: float | None = None
    """Training data that there is, as a share (0 to 1) of what such a task has here."""
    length: int | None = None
    """Frames back on which a decision may depend."""
    streaming: bool | None = None
    """Whether frames arrive one by one, each with its answer."""
    device: str = ANY
    """A device profile; `any`: what the machine that measured says will do."""
    max_kib: float | None = None
    """Largest ONNX file."""
    max_us: float | None = None
    """Longest median step; paced where it streams."""
    max_mib: float | None = None
    """Most memory on top of the runtime's."""
    max_cpu_s_per_hour: float | None = None
    """Most CPU seconds for an hour of frames."""

    def __post_init__(self) -> None:
        """Refuse what nobody can have."""
        mistakes = []
        if self.data is not None and not 0 < self.data <= 1:
            mistakes.append(f"data: {self.data:g} is no share above 0 and at most 1")
        limits = (f.name for f in fields(self) if f.name == "length" or f.name.startswith("max_"))
        for name in limits:
            value = getattr(self, name)
            if value is not None and not value > 0:
                mistakes.append(f"{name}: {value:g} is not above 0")
        if mistakes:
            raise ConfigError("the question", mistakes)


NEEDED = ("task", "data", "length", "streaming")


def missing(question: Question) -> tuple[str, ...]:
    """Return the fields that a question needs and does not say."""
    return tuple(
        f.name for f in fields(question) if f.name in NEEDED and getattr(question, f.name) is None
    )


@dataclass(frozen=True)
class Ground:
    """A task and share on which candidates are compared."""

    task: str
    share: float
    distance: int = 0
    """Of a task that asks after what lies so far back; 0: the task itself."""


def scope(question: Question, evidence: Evidence) -> tuple[tuple[Ground, ...], tuple[str, ...]]:
    """Return what a question is judged on, and what of it was never measured."""
    tasks = _tasks(question, evidence)
    if not tasks:
        return (), (_no_task(question, evidence),)
    grounds, unknown = [], []
    for task in tasks:
        share = _share(question, evidence.shares(task))
        if share is None:
            unknown.append(_no_share(question, task, evidence.shares(task)))
        else:
            grounds.append(Ground(task, share))
    far, said = _far(question, tasks, evidence)
    unknown += [*said, *_no_device(question, evidence)]
    return (*grounds, *far), tuple(unknown)


def _tasks(question: Question, evidence: Evidence) -> tuple[str, ...]:
    asked = question.task or ""
    return tuple(task for task in KINDS.get(asked, (asked,)) if task in evidence.tasks)


def _no_task(question: Question, evidence: Evidence) -> str:
    known = ", ".join(dict.fromkeys(base(task) for task in evidence.tasks)) or "nothing"
    return (
        f"{question.task} was not measured; measured: {known}; kinds: {', '.join(KINDS)}. Find "
        "out: edgeseq claims --budget full -o DIR, then edgeseq advise --results DIR; of your own "
        "data: edgeseq train TASK.toml --model lstm -o run, and with --model transformer"
    )


def _share(question: Question, shares: Sequence[float]) -> float | None:
    asked = question.data or 1.0
    near = min(shares, key=lambda share: abs(math.log(share / asked)))
    return near if abs(math.log(near / asked)) <= math.log(NEAR) + 1e-9 else None


def _no_share(question: Question, task: str, shares: Sequence[float]) -> str:
    known = ", ".join(f"{100 * share:g} %" for share in shares)
    return (
        f"{task} was measured with {known} of its data, not with {100 * (question.data or 1):g} %. "
        "Find out: edgeseq claims data scale --budget full -o DIR"
    )


def _far(
    question: Question, tasks: Sequence[str], evidence: Evidence
) -> tuple[tuple[Ground, ...], tuple[str, ...]]:
    """Return the tasks that ask at least as far back; none are needed where windows reach."""
    length = question.length or 0
    if length <= min(map(reach, tasks)):
        return (), ()
    lags = [int(task.rpartition("-")[2]) for task in evidence.tasks if base(task) in FAR]
    further = [lag for lag in lags if lag >= length]
    if not further:
        said = f"at most {max(lags)} frames" if lags else "no distance"
        return (), (
            f"{said} between a frame and what depends on it was measured, not {length}. Find out: "
            "edgeseq claims range --budget full -o DIR",
        )
    lag = min(further)
    names = [name for task in FAR if (name := f"{task}-{lag}") in evidence.tasks]
    return tuple(Ground(name, 1.0, lag) for name in names), ()


def reach(task: str) -> int:
    """Return the frames that a model of a task was trained on in one piece."""
    loaded = load_task(task)
    return int(loaded.window or loaded.training.get("crop", REACH))


@dataclass(frozen=True)
class Place:
    """A machine that measured, as device profiles look at it."""

    architecture: str = ""
    board: str = ""
    flags: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


def _no_device(question: Question, evidence: Evidence) -> list[str]:
    if question.device == ANY:
        return []
    profile = load_device(question.device)
    if evidence.machines and all(is_device(profile, place(about)) for about in evidence.machines):
        return []
    where = "; ".join(dict.fromkeys(str(about.get("cpu")) for about in evidence.machines))
    return [
        f"nothing was measured on {question.device}, but on: {where or 'no machine'}. Find out "
        "there: edgeseq claims --budget full -o DIR, then edgeseq advise --results DIR; or leave "
        "the device out"
    ]


def place(about: Mapping[str, Any]) -> Place:
    """Return what a file of cells says of its machine."""
    return Place(
        str(about.get("architecture", "")),
        str(about.get("board", "")),
        tuple(about.get("flags", ())),
        tuple(about.get("providers", ())),
    )
