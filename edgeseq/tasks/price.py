"""What a share will cost tomorrow at the close; today's close is hard to beat."""

from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from edgeseq.contract import Frame, Output
from edgeseq.tasks import stocks
from edgeseq.tasks.base import Progress, Recording
from edgeseq.tasks.kinds import Forecast
from edgeseq.tasks.stocks import Stock
from edgeseq.tasks.targets import ahead
from edgeseq.tasks.wheels import fetch

HORIZON = 1
"""Days ahead."""
WARMUP = 20
"""Days not scored after a reset: a month, the past that the auto-regression uses."""
SPAN = 120


def load(progress: Progress | None = None) -> Forecast:
    """Declare the task; the data is fetched when it is first needed."""
    return Forecast(
        name="price",
        summary="daily close of 5 stocks, 2000 to 2013; forecast tomorrow's close",
        source=stocks.SOURCE,
        frame=Frame(
            channels=("close", "return", "range"),
            units=("USD", "%", "%"),
            sample_rate_hz=stocks.RATE_HZ,
        ),
        output=Output(
            kind="value",
            labels=("close tomorrow",),
            units="USD",
            decision="the value itself",
            residual_of=0,
        ),
        folds=1,
        load=lambda: read_prices(fetch(stocks.WHEEL, progress)),
        divide=partial(stocks.divide, horizon=HORIZON),
        warmup=WARMUP,
        span=SPAN,
        training={"crop": 64, "steps": 300, "evaluate_every": 50},
    )


@cache
def read_prices(path: Path) -> tuple[Recording, ...]:
    """Read the stocks; when a share is split its price begins anew."""
    return tuple(part for stock in stocks.read_stocks(path) for part in _stretches(stock))


def _stretches(stock: Stock) -> list[Recording]:
    edges = [0, *stock.split, len(stock.dates)]
    frames = np.stack([stock.close, stock.gain, stock.swing], axis=-1)
    return [
        Recording(
            frames[first:last],
            ahead(frames[first:last, :1], HORIZON),
            subject=stock.ticker,
            name=f"{stock.ticker} from {stock.dates[first]}",
        )
        for first, last in pairwise(edges)
        if last > first
    ]
