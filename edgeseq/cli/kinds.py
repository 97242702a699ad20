"""Numbers, times and shares as people type them."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_THOUSANDS = {"": 1, "k": 1e3, "m": 1e6}


class Written(click.ParamType):  # type: ignore[type-arg] # generic since Click 8.2 only
    """A value that is typed after a pattern."""

    def __init__(
        self, name: str, pattern: str, what: str, read: Callable[[re.Match[str]], Any]
    ) -> None:
        self.name, self._pattern, self._what, self._read = name, re.compile(pattern), what, read

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in Click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - as in Click
        """Return what was meant; a default may be a value already."""
        if not isinstance(value, str):
            return value
        match = self._pattern.fullmatch(value)
        found = self._read(match) if match else None
        if found is None:
            self.fail(f"{value!r} is not {self._what}", param, ctx)
        return found


@dataclass(frozen=True)
class Extent:
    """How long something runs: so many steps, or so many seconds."""

    steps: int | None = None
    seconds: float | None = None


def _count(match: re.Match[str]) -> int | None:
    return round(float(match[1]) * _THOUSANDS[match[2].lower()]) or None


def _extent(match: re.Match[str]) -> Extent | None:
    number, unit = float(match[1]), match[2]
    if not number:
        return None
    if unit in ("s", "m", "h"):
        return Extent(seconds=number * _UNITS[unit])
    return Extent(steps=round(number * _THOUSANDS[unit.lower()]))


def _setting(match: re.Match[str]) -> tuple[str, int | float | str]:
    """Return a name and its value: a number where it reads as one."""
    name, text = match[1].replace("-", "_"), match[2]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return name, kind(text)
    return name, text


SETTING = Written("setting", r"([A-Za-z][\w-]*)=(.+)", "a setting; write dropout=0.1", _setting)
COUNT = Written("number", r"(\d+(?:\.\d+)?)([kKmM]?)", "a size; write 50k, 1.2M or 50000", _count)
NUMBERS = Written(
    "numbers",
    r"\d+(,\d+)*",
    "a list of numbers; write 1,64,1024",
    lambda match: tuple(int(part) for part in match[0].split(",")),
)
SECONDS = Written(
    "time",
    r"(\d+(?:\.\d+)?)([smh]?)",
    "a time; write 5, 90s, 10m or 1h",
    lambda match: float(match[1]) * _UNITS[match[2]],
)
EXTENT = Written(
    "extent",
    r"(\d+(?:\.\d+)?(?:e\d{1,2})?)([kMsmh]?)",
    "an extent; write steps as 1e6 or 50k, a time as 90s, 10m or 1h",
    _extent,
)
PERCENT = Written(
    "per cent",
    r"(\d+(?:\.\d+)?) ?%?",
    "a margin; write 5 or 5%",
    lambda match: float(match[1]) / 100,
)
