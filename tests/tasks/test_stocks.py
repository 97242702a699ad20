"""Stocks: what is read of a price, and one cut in time for all of them."""

import gzip
from datetime import date, timedelta

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import load_task, price, volatility
from edgeseq.tasks.base import Recording
from edgeseq.tasks.stocks import divide, read_stocks

DAYS = [str(date(2012, 1, 1) + timedelta(days=n)) for n in range(450)]


def row(ticker, day, close, *, adjusted=None, high=None, low=None):
    numbers = close, high or close, low or close, close, 1000, adjusted or close
    return f"{ticker},{day}," + ",".join(map(str, numbers))


def write(path, rows):
    header = "Ticker,Date,Open,High,Low,Close,Volume,Adj Close"
    path.write_bytes(gzip.compress("\n".join([header, *rows]).encode()))
    return path


def test_what_is_known_of_a_day(tmp_path):
    """Up 10 %, with a range of 21 %; then split in two, at the same worth."""
    rows = [
        row("A", DAYS[0], 100, adjusted=50),
        row("A", DAYS[1], 110, adjusted=55, high=121, low=100),
        row("A", DAYS[2], 55, adjusted=55),
    ]
    (stock,) = read_stocks(write(tmp_path / "s.csv.gz", rows))
    assert (stock.ticker, stock.dates, stock.split) == ("A", (DAYS[1], DAYS[2]), (1,))
    assert stock.close.tolist() == [110, 55]
    np.testing.assert_allclose(stock.gain, [100 * np.log(1.1), 0], rtol=1e-6)
    np.testing.assert_allclose(stock.swing, [100 * np.log(1.21), 0], rtol=1e-6)


def test_other_days_of_trading_are_refused(tmp_path):
    rows = [row("A", day, 10) for day in DAYS[:9]] + [row("B", day, 10) for day in DAYS[4:8]]
    with pytest.raises(DataError, match=r"B in .* was not traded on the others' days"):
        read_stocks(write(tmp_path / "s.csv.gz", rows))


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"Ticker,Date\nA,2012\n", mtime=0)], ids=["text", "short"]
)
def test_damaged(tmp_path, content):
    (tmp_path / "s.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match="cannot read stock prices in "):
        read_stocks(tmp_path / "s.csv.gz")


def test_no_day_is_on_two_sides():
    """Frames carry their day; one stock came late, one was split on day 50."""

    def recording(subject, first, last):
        days = np.arange(first, last, dtype=np.float32)[:, None]
        return Recording(days, days + 5, subject, f"{subject}{first}")

    parts = [recording("A", 0, 50), recording("A", 50, 200), recording("B", 170, 200)]
    split = divide(parts, 0, horizon=5)
    sides = (split.train, split.validation, split.test)
    days = [np.concatenate([item.frames[:, 0] for item in side]) for side in sides]
    assert [(part.min(), part.max()) for part in days] == [(0, 139), (140, 159), (160, 199)]
    assert {item.subject for item in split.test} == {"A", "B"}
    known = [np.concatenate([item.target[:, 0] for item in side]) for side in sides]
    assert np.nanmax(known[0]) == 139  # no target of one side lies in the next
    assert np.nanmax(known[1]) == 159


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A, split on day 100, and B; both go up and down by 1 % every other day."""
    swings = [100 * 1.01 ** (n % 2) for n in range(450)]
    rows = [
        row("A", d, p * (1 + (n < 100)), adjusted=p)
        for n, (d, p) in enumerate(zip(DAYS, swings, strict=True))
    ]
    rows += [row("B", d, p) for d, p in zip(DAYS, swings, strict=True)]
    path = write(tmp_path / "s.csv.gz", rows)
    for module in (price, volatility):
        monkeypatch.setattr(module, "fetch", lambda *_: path)


@pytest.mark.usefixtures("two")
def test_price_begins_anew_where_a_share_is_split():
    task = load_task("price")
    first, second, other = task.recordings()
    assert (first.subject, second.subject, other.subject) == ("A", "A", "B")
    assert (len(first.frames), len(second.frames), len(other.frames)) == (99, 350, 449)
    for item in (first, second):
        np.testing.assert_array_equal(item.target[:-1], item.frames[1:, :1])
        assert np.isnan(item.target[-1, 0])
    assert np.abs(second.frames[0, 1]) == pytest.approx(100 * np.log(1.01), rel=1e-3)


@pytest.mark.usefixtures("two")
def test_price_baselines():
    """It moves by 1 USD a day, and by the rule that the regression finds."""
    task = load_task("price")
    scores = task.baselines(task.split())
    assert [*scores] == ["persistence", "ridge auto-regression"]
    assert scores["persistence"].value == pytest.approx(1.0, rel=1e-4)
    assert scores["ridge auto-regression"].value < 0.01


@pytest.mark.usefixtures("two")
def test_a_volatility_that_never_changes_is_known_to_all():
    task = load_task("volatility")
    scores = task.baselines(task.split())
    assert [*scores] == ["persistence", "EWMA", "ridge auto-regression"]
    assert [score.value for score in scores.values()] == pytest.approx([0, 0, 0], abs=1e-3)
    assert scores["EWMA"].metric == "MAE % a day"


def test_realised_volatility_by_hand():
    gain = np.array([9, 3, -3, 3, -3, 3, 0, 4], np.float32)
    target = volatility.realised(gain)
    np.testing.assert_allclose(target[:3, 0], [3, np.sqrt(36 / 5), np.sqrt(43 / 5)], rtol=1e-6)
    assert np.isnan(target[3:]).all()
    assert np.isnan(volatility.realised(gain[:5])).all()


@pytest.mark.slow
def test_real_data():
    expected = {
        "price": {"persistence": 3.357, "ridge auto-regression": 3.367},
        "volatility": {"persistence": 0.678, "EWMA": 0.594, "ridge auto-regression": 0.492},
    }
    for name, values in expected.items():
        task = load_task(name)
        split = task.split()
        assert {item.subject for item in split.train} == {"AAPL", "GOOG", "IBM", "MSFT"}
        assert {item.subject for item in split.test} == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
        scores = {key: score.value for key, score in task.baselines(split).items()}
        assert scores == pytest.approx(values, abs=0.001)
