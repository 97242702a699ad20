"""How much a share's price will move from day to day in the next week of trading."""

from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output
from edgeseq.tasks import baselines, stocks
from edgeseq.tasks.base import Array, Predict, Progress, Recording
from edgeseq.tasks.kinds import Forecast
from edgeseq.tasks.scoring import Windows
from edgeseq.tasks.stocks import Stock
from edgeseq.tasks.wheels import fetch

HORIZON = 5
"""Days whose returns the realised volatility is the root mean square of."""
DECAY = 0.94
"""Of RiskMetrics for daily returns: J.P. Morgan 1996, "RiskMetrics Technical Document"."""
LAGS = 22
"""Days that the regression sees: a month, as Corsi 2009 has it."""
WARMUP = 60
"""Days not scored after a reset: all that the weighted mean forgets but 2 %."""
SPAN = 240


def load(progress: Progress | None = None) -> Forecast:
    """Declare the task; the data is fetched when it is first needed."""
    return Forecast(
        name="volatility",
        summary="daily moves of 5 stocks, 2000 to 2013; forecast their RMS over 5 days",
        source=stocks.SOURCE,
        frame=Frame(channels=("return", "range"), units=("%", "%"), sample_rate_hz=stocks.RATE_HZ),
        output=Output(
            kind="value",
            labels=("volatility of the next 5 days",),
            units="% a day",
            decision="the value itself: the root mean square of the next 5 daily returns",
        ),
        folds=1,
        load=lambda: read_moves(fetch(stocks.WHEEL, progress)),
        divide=partial(stocks.divide, horizon=HORIZON),
        warmup=WARMUP,
        span=SPAN,
        beside=rivals,
        training={"crop": 96, "steps": 300, "evaluate_every": 50},
    )


def rivals(train: Windows, validation: Windows) -> dict[str, Predict]:
    """Return what stands beside a model: the last 5 days, RiskMetrics, and a regression."""
    return {
        "persistence": baselines.moving_rms(0, HORIZON),
        "EWMA": baselines.ewma(0, DECAY),
        "ridge auto-regression": baselines.ridge_autoregression(
            train, validation, lags=LAGS, residual_of=None, features=_moves
        ),
    }


def _moves(frames: Array) -> NDArray[np.float64]:
    """Return a month of returns, of their sizes and of ranges: a line cannot fold a return."""
    return baselines.lagged(np.concatenate([frames, np.abs(frames[..., :1])], axis=-1), LAGS)


@cache
def read_moves(path: Path) -> tuple[Recording, ...]:
    """Read the stocks."""
    return tuple(_recording(stock) for stock in stocks.read_stocks(path))


def _recording(stock: Stock) -> Recording:
    frames = np.stack([stock.gain, stock.swing], axis=-1)
    name = f"{stock.ticker} from {stock.dates[0]}"
    return Recording(frames, realised(stock.gain), subject=stock.ticker, name=name)


def realised(gain: Array) -> Array:
    """Return the root mean square of the next 5 returns of `(T,)`, `(T, 1)`; NaN at the end."""
    target = np.full((len(gain), 1), np.nan, np.float32)
    if len(gain) > HORIZON:
        following = np.lib.stride_tricks.sliding_window_view(gain[1:], HORIZON)  # (T - 5, 5)
        target[:-HORIZON, 0] = np.sqrt((following.astype(np.float64) ** 2).mean(axis=1))
    return target
