"""What a person's glucose will be in half an hour, from a sensor that reports every 5 minutes."""

import csv
import gzip
import io
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import numpy as np

from edgeseq.contract import Frame, Output
from edgeseq.errors import DataError
from edgeseq.tasks.augment import jitter
from edgeseq.tasks.base import Array, Progress, Recording
from edgeseq.tasks.kinds import Forecast
from edgeseq.tasks.splits import by_time
from edgeseq.tasks.targets import ahead
from edgeseq.tasks.wheels import DataWheel, fetch

WHEEL = DataWheel(
    package="bokeh-sampledata",
    version="2026.1",
    file="bokeh_sampledata-2026.1-py3-none-any.whl",
    sha256="f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
    member="bokeh_sampledata/_data/CGM.csv.gz",
    member_sha256="91fdad8325541a4487d88cb59b2fc9f6ed821c7c01eaabed0606bbb7089be8de",
    megabytes=13,
)

INTERVAL_S = 300
HORIZON = 6
"""Frames ahead: 30 minutes."""
WARMUP = 24
"""Frames not scored after a reset: 2 hours, the past that the auto-regression uses."""
DAY = 24 * 3600 // INTERVAL_S
TEST, VALIDATION = 0.2, 0.1
JITTER_MG_DL = 1.0

Reading = tuple[datetime, float]


def load(progress: Progress | None = None) -> Forecast:
    """Declare the task; the data is fetched when it is first needed."""
    return Forecast(
        name="glucose",
        summary="glucose every 5 minutes, one person, 6 months; forecast 30 minutes ahead",
        source="bokeh-sampledata 2026.1 on PyPI (CGM.csv.gz), public domain",
        frame=Frame(channels=("glucose",), units=("mg/dL",), sample_rate_hz=1 / INTERVAL_S),
        output=Output(
            kind="value",
            labels=("glucose in 30 minutes",),
            units="mg/dL",
            decision="the value itself",
            residual_of=0,
        ),
        folds=1,
        load=lambda: read_glucose(fetch(WHEEL, progress)),
        divide=lambda recordings, _: _divide(recordings),
        warmup=WARMUP,
        span=DAY + WARMUP,
        vary=lambda frames, rng: jitter(frames, rng, JITTER_MG_DL),
    )


_divide = partial(by_time, test=TEST, validation=VALIDATION, horizon=HORIZON)


@cache
def read_glucose(path: Path) -> tuple[Recording, ...]:
    """Read the stretches without a gap that are long enough to score one frame."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        rows = csv.DictReader(io.StringIO(text))
        readings = [
            (datetime.fromisoformat(row["datetime"]), float(row["glucose"])) for row in rows
        ]
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise DataError(f"cannot read glucose readings in {path}: {error}") from None
    stretches = uninterrupted(readings)
    return tuple(
        _recording(start, values) for start, values in stretches if len(values) > WARMUP + HORIZON
    )


def uninterrupted(readings: list[Reading]) -> list[tuple[datetime, Array]]:
    """Put readings on a 5-minute grid and split them where a place of the grid is empty.

    The sensor's clock is set now and then, so intervals of 1, 4 and 6 minutes occur: each
    reading takes the nearest place, counted from the stretch's start, and the last one to take
    a place has it. Returns the start and the values `(T, 1)` of each stretch.
    """
    stretches: list[tuple[datetime, list[float]]] = []
    for time, value in sorted(readings, key=lambda reading: reading[0]):
        if stretches:
            start, values = stretches[-1]
            place = round((time - start).total_seconds() / INTERVAL_S)
            if place <= len(values):
                values[place:] = [value]
                continue
        stretches.append((time, [value]))
    return [(start, np.array(values, np.float32)[:, None]) for start, values in stretches]


def _recording(start: datetime, values: Array) -> Recording:
    return Recording(
        frames=values,
        target=ahead(values, HORIZON),
        subject="one person",
        name=start.isoformat(timespec="minutes"),
    )
