"""Daily prices of five stocks, which the tasks `price` and `volatility` read."""

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np

from edgeseq.errors import DataError
from edgeseq.tasks.base import Array, Recording, Split
from edgeseq.tasks.splits import from_end
from edgeseq.tasks.wheels import DataWheel

WHEEL = DataWheel(
    package="bokeh-sampledata",
    version="2026.1",
    file="bokeh_sampledata-2026.1-py3-none-any.whl",
    sha256="f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
    member="bokeh_sampledata/_data/stocks.csv.gz",
    member_sha256="5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd",
    megabytes=13,
)
SOURCE = "bokeh-sampledata 2026.1 on PyPI (stocks.csv.gz; Quandl WIKI), public domain"

RATE_HZ = 1 / 86400
"""A frame is a day of trading; nights, weekends and holidays do not count."""
TEST, VALIDATION = 0.2, 0.1
"""Of the longest history: the last two and a half years, and the year and a quarter before."""
SPLIT = 1.3
"""A share that becomes more than so many shares was split; no dividend is as large."""


@dataclass(frozen=True)
class Stock:
    """What was known of a stock at the close of each day; the first day is left out."""

    ticker: str
    dates: tuple[str, ...]
    close: Array
    """`(T,)` USD, as it was paid."""
    gain: Array
    """`(T,)` logarithmic return since the close before, %, dividends and splits undone."""
    swing: Array
    """`(T,)` logarithm of the day's highest price over its lowest, %."""
    split: tuple[int, ...]
    """Days on which the price is of another kind of share than the day before."""


@cache
def read_stocks(path: Path) -> tuple[Stock, ...]:
    """Read all stocks; that they were traded on the same days until the last is made sure of."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        stocks = tuple(
            _stock(ticker, list(own)) for ticker, own in groupby(rows, lambda row: row["Ticker"])
        )
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise DataError(f"cannot read stock prices in {path}: {error}") from None
    longest = max((stock.dates for stock in stocks), key=len, default=())
    for stock in stocks:
        if stock.dates != longest[-len(stock.dates) :]:
            raise DataError(f"{stock.ticker} in {path} was not traded on the others' days")
    return stocks


def _stock(ticker: str, rows: Sequence[dict[str, str]]) -> Stock:
    names = "Close", "Adj Close", "High", "Low"
    close, adjusted, high, low = (np.array([float(row[name]) for row in rows]) for name in names)
    shares = (adjusted / close)[1:] / (adjusted / close)[:-1]
    return Stock(
        ticker,
        dates=tuple(row["Date"] for row in rows[1:]),
        close=close[1:].astype(np.float32),
        gain=(100 * np.diff(np.log(adjusted))).astype(np.float32),
        swing=(100 * np.log(high / low)[1:]).astype(np.float32),
        split=tuple(np.flatnonzero(shares > SPLIT).tolist()),
    )


def divide(recordings: Sequence[Recording], _: int, *, horizon: int) -> Split:
    """Cut all stocks on the same two days; one that came late may be in the test alone."""
    totals: dict[str, int] = {}
    for item in recordings:
        totals[item.subject] = totals.get(item.subject, 0) + len(item.frames)
    test, validation = (round(share * max(totals.values())) for share in (TEST, VALIDATION))
    return from_end(recordings, test=test, validation=validation, horizon=horizon)
