"""The user's own data as a first-class task, declared in one TOML (`own_spec.OwnData`)."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq.contract import Output
from edgeseq.errors import ConfigError
from edgeseq.specs import load_toml, parse
from edgeseq.tasks.base import Recording, Task
from edgeseq.tasks.kinds import Classification, Forecast
from edgeseq.tasks.own_data import Findings, listing, read_recordings
from edgeseq.tasks.own_spec import FILE, OwnData
from edgeseq.tasks.splits import Divide, by_subject, by_time, named, subjects_of

SPAN = 288
"""Frames that a forecast is scored over from one reset, or four windows where that is more."""

_HARMLESS: dict[str, Any] = {
    "rate_hz": 1.0,
    "samples_per_frame": 1,
    "horizon_s": 0.0,
    "subject": FILE,
    "label": None,
    "target": None,
}
_REQUIRED: dict[str, Any] = {"files": (), "rate_hz": 0.0, "inputs": {}, "window_s": 1.0}
"""What stands in for wrong values while the files are read to find the rest of the mistakes."""


def load(path: Path) -> Task:
    """Read the TOML at `path` and the files that it names.

    Raises:
        ConfigError: The TOML or the data has mistakes: all of them are listed.
    """
    spec, mistakes = _read_spec(path)
    if spec is None:
        raise ConfigError(str(path), mistakes)
    wrong = {place.partition(".")[0] for place in _places(mistakes)}
    findings = Findings()
    recordings = tuple(read_recordings(_readable(spec, wrong), path.parent, findings))
    mistakes += findings.lines()
    if recordings and not findings.lost and "split" not in wrong:
        mistakes += _subject_mistakes(spec, subjects_of(recordings))
    if not mistakes:
        mistakes += _side_mistakes(spec, recordings)
    if mistakes:
        raise ConfigError(str(path), mistakes)
    return _task(str(path), spec, recordings)


def _read_spec(path: Path) -> tuple[OwnData | None, list[str]]:
    """Return what the TOML says as far as it can be used, and its mistakes."""
    try:
        spec = load_toml(path, OwnData)
        return spec, list(spec.mistakes())
    except ConfigError as error:
        mistakes = list(error.mistakes)
    wrong = _places(mistakes)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError:
        return None, mistakes
    spec = parse(_REQUIRED | _without(table, wrong), OwnData, where=str(path))
    return spec, mistakes + [item for item in spec.mistakes() if not _places([item]) & wrong]


def _places(mistakes: list[str]) -> set[str]:
    """Return the keys that mistakes are about: `split.test, label[0]: …` has two."""
    places = [place for mistake in mistakes for place in mistake.partition(":")[0].split(", ")]
    return {place.partition("[")[0] for place in places}


def _without(table: dict[str, Any], wrong: set[str], path: str = "") -> dict[str, Any]:
    """Return `table` without the keys at the places in `wrong`."""
    return {
        key: _without(value, wrong, f"{path}{key}.") if isinstance(value, dict) else value
        for key, value in table.items()
        if f"{path}{key}" not in wrong
    }


def _readable(spec: OwnData, wrong: set[str]) -> OwnData:
    """Return `spec` with every key in `wrong` made harmless."""
    unusable = wrong | ({"label"} if "classes" in wrong else set())
    return replace(spec, **{key: _HARMLESS[key] for key in unusable & _HARMLESS.keys()})


def _subject_mistakes(spec: OwnData, subjects: list[str]) -> Iterator[str]:
    """Name what keeps the split from being made."""
    if spec.split.by == "time":
        return
    for key in ("test", "validation"):
        for name in getattr(spec.split, key):
            if name not in subjects:
                yield f'split.{key}: no subject "{name}"; there are: {listing(subjects)}'
    held_out = {*spec.split.test, *spec.split.validation}
    if held_out and held_out >= {*subjects}:
        yield "split.test, split.validation: they leave no subject to train on"
    if not held_out and len(subjects) < 3:
        yield (
            f"split: train, validation and test need 3 subjects, and there are {len(subjects)}: "
            f"{listing(subjects)}. Set subject, add files, or use by = 'time'"
        )


def _side_mistakes(spec: OwnData, recordings: tuple[Recording, ...]) -> Iterator[str]:
    """Name every side of every fold on which nothing could be scored."""
    divide, folds = _division(spec, recordings)
    for fold in range(folds):
        split = divide(recordings, fold)
        for side in ("train", "validation", "test"):
            if not any(_can_be_scored(spec, item) for item in getattr(split, side)):
                yield (
                    f"split: nothing can be scored in {side} of fold {fold}: it needs a recording "
                    f"of more than {spec.window_s + spec.horizon_s:g} s with a known "
                    + ("label" if spec.label else "target")
                )


def _can_be_scored(spec: OwnData, item: Recording) -> bool:
    if spec.label is not None:
        return len(item.frames) >= spec.window and bool((item.target >= 0).any())
    return bool(np.isfinite(item.target[spec.window :]).any())


def _division(spec: OwnData, recordings: tuple[Recording, ...]) -> tuple[Divide, int]:
    """Return how recordings are divided, and into how many folds."""
    split, subjects = spec.split, len(subjects_of(recordings))
    if split.by == "time":
        in_time = partial(by_time, test=split.test_fraction, validation=split.validation_fraction)
        return lambda items, _: in_time(items, horizon=spec.horizon), 1
    if split.test:
        return lambda items, _: named(items, split.test, split.validation), 1
    folds = int(np.clip(round(1 / split.test_fraction), 2, subjects))
    chosen = max(1, round(subjects * split.validation_fraction))
    return partial(by_subject, folds=folds, validation=chosen), folds


def _task(name: str, spec: OwnData, recordings: tuple[Recording, ...]) -> Task:
    divide, folds = _division(spec, recordings)
    common: dict[str, Any] = {
        "name": name,
        "summary": spec.summary,
        "source": spec.source,
        "frame": spec.frame,
        "folds": folds,
        "load": lambda: recordings,
        "divide": divide,
    }
    if spec.label is not None:
        return Classification(**common, output=_classes_output(spec), window=spec.window)
    span = max(SPAN, 4 * spec.window) + spec.window
    return Forecast(**common, output=_value_output(spec), warmup=spec.window, span=span)


def _classes_output(spec: OwnData) -> Output:
    decision = (
        f"argmax of the mean of the logits of the last {spec.window_s:g} s ({spec.window} frames)"
    )
    return Output(kind="logits", labels=spec.classes, decision=decision)


def _value_output(spec: OwnData) -> Output:
    target = str(spec.target)
    return Output(
        kind="value",
        labels=(f"{target} in {spec.horizon_s:g} s" if spec.horizon else target,),
        units=spec.target_units or spec.inputs.get(target, ""),
        decision="the value itself",
        residual_of=spec.residual_of,
    )
