"""Control: who balances the pole, who does not, and that the loop is closed."""

import numpy as np
import pytest

from edgeseq.tasks import cartpole, control, load_task
from edgeseq.tasks.control import Balance, Rollout, balanced, by_differences, record, teacher

SECONDS = 2.0
LENGTH = 100


@pytest.fixture(scope="module")
def task() -> Balance:
    return load_task("control")


@pytest.fixture(scope="module")
def starts() -> tuple[Rollout, ...]:
    return record(12, SECONDS, seed=3)


class Differences:
    """The regulator on differences as a model would be one: frames in, forces out."""

    def __call__(self, frames):
        speed = np.diff(frames, axis=1, prepend=frames[:, :1]) * cartpole.RATE_HZ
        seen = np.stack([frames, speed], axis=-1).reshape(*frames.shape[:2], 4)
        return (-seen @ cartpole.regulator())[..., None].astype(np.float32)


def test_sides_share_no_start(task):
    split = task.split()
    sides = split.train, split.validation, split.test
    first = [{tuple(item.start) for item in side} for side in sides]
    assert [len(side) for side in first] == [len(side) for side in sides]
    assert not first[0] & first[1] | first[0] & first[2] | first[1] & first[2]
    assert [len(side[0].frames) for side in sides] == [200, 150, 500]
    assert len(sides[0]) > 0.95 * control.TRAIN  # few fall while they are recorded
    frames = np.concatenate([item.frames for item in split.train])
    assert np.abs(frames[:, 0]).max() < cartpole.TRACK_M + 6 * control.NOISE[0]


def test_baselines_stand_in_order(task):
    scores = {name: score.value for name, score in task.baselines(task.split()).items()}
    assert [*scores] == [
        "no force", "regulator on differences", "regulator on a filter", "teacher, sees velocities",
    ]  # fmt: skip
    none, differences, filtered, full = scores.values()
    assert none < 10 < 80 < differences < 98 < filtered
    assert full == 100


def test_a_rollout_is_the_teachers_path(starts):
    """Played again from its start, the teacher meets the same frames."""
    seen = []

    def watched(states, frames):
        seen.append(frames)
        return teacher(states, frames)

    assert (balanced(starts, watched, LENGTH) == LENGTH).all()
    np.testing.assert_allclose(
        np.stack(seen, axis=1), np.stack([one.frames for one in starts]), atol=1e-5
    )


def test_the_teacher_says_what_it_wants_not_what_it_slips_to():
    for one in record(3, 1.0, seed=0, slips=(2.0, 3.0)):
        wanted = -float(one.start @ cartpole.regulator())
        assert one.target[0, 0] == pytest.approx(np.clip(wanted, -10, 10), rel=1e-5)


def test_a_model_is_fed_what_its_own_force_has_led_to(task, starts):
    losses = task.losses(Differences(), starts)
    lasted = balanced(starts, by_differences(), LENGTH)
    np.testing.assert_allclose(losses.total, 100 * (1 - lasted / LENGTH))
    assert task.score(Differences(), starts).value == pytest.approx(100 * lasted.mean() / LENGTH)


def test_a_constant_force_drives_the_cart_off(task, starts):
    """At 9 m/s2 a pole of a meter is down long before the cart has gone 2.4 m."""
    losses = task.losses(lambda frames: np.full((*frames.shape[:2], 1), 10.0, np.float32), starts)
    assert (losses.metric, losses.higher_is_better) == ("balanced time %", True)
    assert (losses.total > 60).all()
    early = task.losses(lambda frames: np.zeros((*frames.shape[:2], 1), np.float32), starts, 5)
    assert early.value > 60  # after a tenth of a second most still stand


def test_what_is_no_number_falls(task, starts):
    losses = task.losses(lambda frames: np.full((*frames.shape[:2], 1), np.nan, np.float32), starts)
    assert (losses.total == 100).all()


def test_frame_losses_are_distances_from_the_teachers_force(task, starts):
    losses = task.frame_losses(lambda frames: np.zeros((*frames.shape[:2], 1), np.float32), starts)
    forces = np.concatenate([one.target for one in starts])
    assert losses.metric == "MAE N"
    assert losses.value == pytest.approx(np.abs(forces).mean(), rel=1e-5)
    assert losses.count.tolist() == [LENGTH] * len(starts)
