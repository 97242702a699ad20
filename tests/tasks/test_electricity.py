"""Electricity: hours as they passed, the clock, and baselines counted by hand; the file is slow."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from edgeseq.errors import DataError
from edgeseq.tasks import electricity, load_task
from edgeseq.tasks.electricity import DAY, WEEK, read_load, real_hours

MONDAY = datetime(2013, 1, 7)


def night(day, values):
    """The first hours of a day by the clock on the wall."""
    start = datetime.fromisoformat(day)
    return [(start + timedelta(hours=hour), value) for hour, value in enumerate(values)]


@pytest.mark.parametrize(
    ("day", "values", "clock", "passed"),
    [
        ("2013-03-31", [5, 0.1, 4, 3], [0, 2, 3], [5, 4, 3]),
        ("2013-10-27", [5, 9, 4, 3], [0, 1, 1, 2, 3], [5, 4.5, 4.5, 4, 3]),
        ("2013-03-30", [5, 4, 4, 3], [0, 1, 2, 3], [5, 4, 4, 3]),  # a Saturday
        ("2013-03-24", [5, 4, 4, 3], [0, 1, 2, 3], [5, 4, 4, 3]),  # the last Sunday but one
        ("2013-06-30", [5, 4, 4, 3], [0, 1, 2, 3], [5, 4, 4, 3]),
    ],
)
def test_hours_as_they_passed(day, values, clock, passed):
    hours = real_hours(night(day, values))
    assert [time.hour for time, _ in hours] == clock
    assert [value for _, value in hours] == passed


@pytest.mark.parametrize("gap", [0, 2])
def test_a_missing_or_repeated_hour_is_refused(gap):
    rows = night("2013-05-05", [1, 2])
    with pytest.raises(DataError, match="hourly loads go from 2013-05-05 01:00:00 to 2013-05-05"):
        real_hours([*rows, (rows[-1][0] + timedelta(hours=gap), 3.0)])


def write_csv(path, load, weeks=20):
    rows = [
        f"{MONDAY + timedelta(hours=hour)},{load(hour) * 1000 / 321}"
        for hour in range(weeks * WEEK)
    ]
    path.write_text("\n".join(["ts,y", *rows]))


@pytest.fixture
def task_of(tmp_path, monkeypatch):
    def make(load):
        write_csv(tmp_path / "load.csv", load)
        monkeypatch.setattr(electricity, "fetch", lambda *_: tmp_path / "load.csv")
        return load_task("electricity")

    return make


def staircase(hour):
    """10 MW more every weekday."""
    return 100.0 + 10 * (hour % WEEK // DAY)


def test_frames_targets_and_split(task_of):
    (recording,) = task_of(staircase).recordings()
    np.testing.assert_allclose(recording.frames[6], [100, 1, 0, 0, 1], atol=1e-4)  # Monday, 6:00
    sunday = recording.frames[6 * DAY]
    turn = 2 * np.pi * 6 / 7
    np.testing.assert_allclose(sunday, [160, 0, 1, np.sin(turn), np.cos(turn)], atol=1e-4)
    np.testing.assert_array_equal(recording.target[:-DAY], recording.frames[DAY:, :1])
    split = task_of(staircase).split()
    assert np.isnan(split.train[0].target[-DAY:]).all()  # they lie in the validation part


def test_seasonal_baselines_by_hand(task_of):
    """A day before: six steps of 10 MW and one of 60 a week. A week before: the clock alone."""
    task = task_of(staircase)
    test = task.split().test
    weeks = (len(test[0].frames) - WEEK - DAY) // WEEK * WEEK  # whole ones, after the warm-up
    cut = [type(item)(item.frames[: weeks + WEEK + DAY], item.target[: weeks + WEEK + DAY],
                      item.subject, item.name) for item in test]  # fmt: skip
    cut[0].target[-DAY:] = np.nan
    one, two = (
        task.score(predict, cut) for name, predict in _rivals(task).items() if "before" in name
    )
    assert one.count == weeks
    assert one.value == pytest.approx((6 * 10 + 60) / 7, rel=1e-5)
    # the test part lies from the end of March on, all in summer time: no hour is missing in it
    assert two.value == pytest.approx(0, abs=1e-4)


def _rivals(task):
    windows = task._stretches(task.split().train)
    return electricity.rivals(windows, windows)


def test_the_regression_knows_the_hour_of_the_week(task_of):
    (recording,) = task_of(staircase).recordings()
    rows = electricity._week_and_hour(recording.frames[None, : 2 * WEEK])[0]  # since a Monday, 0:00
    loads, which = rows[:, : WEEK + 1], rows[:, WEEK + 1 :]
    np.testing.assert_array_equal(which, np.tile(np.eye(WEEK), (2, 1)))
    np.testing.assert_array_equal(loads[WEEK], recording.frames[: WEEK + 1, 0])


def test_baselines_of_the_task(task_of):
    task = task_of(staircase)
    scores = task.baselines(task.split())
    assert [*scores] == [
        "same hour, a day before", "same hour, a week before", "ridge auto-regression",
    ]  # fmt: skip
    assert scores["ridge auto-regression"].value < 1


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "ts,y\n2013-01-01 00:00:00,much\n"])
def test_damaged(tmp_path, text):
    (tmp_path / "load.csv").write_text(text)
    with pytest.raises(DataError, match="cannot read hourly loads in "):
        read_load(tmp_path / "load.csv")


@pytest.mark.slow
def test_real_data():
    task = load_task("electricity")
    (recording,) = task.recordings()
    assert len(recording.frames) == 26_304  # three dropped, three doubled
    assert recording.frames[:, 0].min() > 250
    scores = {name: score.value for name, score in task.baselines(task.split()).items()}
    assert scores == pytest.approx(
        {
            "same hour, a day before": 31.49,
            "same hour, a week before": 56.49,
            "ridge auto-regression": 28.54,
        },
        abs=0.01,
    )
