"""Which force keeps a pole on a cart upright, where only positions are seen and no velocities.

A teacher that sees the whole state is imitated: the linear-quadratic regulator. It is pushed off
its path by noise in its own action while it is recorded, so that a model learns to come back
(Laskey et al. 2017, "DART", arXiv:1703.09327). What counts is the closed loop: the model's own
force moves the cart, from starts and through shoves that nobody was trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgeseq.contract import Frame, Output
from edgeseq.tasks import cartpole
from edgeseq.tasks.base import (
    Array,
    Losses,
    Predict,
    Progress,
    Recording,
    Score,
    Split,
    Step,
    stepper,
)
from edgeseq.tasks.cartpole import FORCE_N, RATE_HZ, State
from edgeseq.tasks.kinds import Declared
from edgeseq.tasks.scoring import cut_windows, value_losses

SEEN = (0, 2)
"""What of the state a frame holds: position and lean."""
STARTS = (1.0, 0.2, 0.06, 0.2)
"""Starts are uniform between plus and minus this: m, m/s, rad, rad/s."""
NOISE = (0.005, 0.01)
"""Standard deviation of what the sensors add: m, rad. Differences of frames are very noisy."""
SHOVE_N, SHOVES_HZ = 10.0, 1.0
"""Standard deviation of a shove, which lasts for one frame, and how often one comes."""
SLIP_N = (1.5, 6.0)
"""Standard deviations of what is added to the teacher's force while training data is recorded: for
a second, and for a frame. White noise alone would hardly move the cart off the middle."""

TRAIN, VALIDATION, TEST = 400, 16, 32
"""Starts."""
TRAIN_S, VALIDATION_S, TEST_S = 4.0, 3.0, 10.0
"""Seconds of each; validation is short, since a network in training plays its past at every frame
again."""
TRAINING = {
    "crop": 64, "batch": 16, "skip": 0.0, "steps": 600, "refit": 0.0, "evaluate_every": 300,
}  # fmt: skip
"""The first frames count, since a policy begins with them, too; sixteen starts more teach nothing,
and would leave weights that nobody has seen balance a pole."""
SUBJECT = "one cart"
METRIC = "balanced time %"

Policy = Callable[[State, Array], NDArray[np.floating]]
"""States `(N, 4)`, for those who may see them, and frames `(N, F)` → forces `(N,)`."""


@dataclass(frozen=True)
class Rollout(Recording):
    """The teacher's balancing from one start, and what is needed to let another one try it."""

    start: State
    """`(4,)`"""
    shoves: State
    """`(T,)` force in N that the world adds during each frame."""
    noise: Array
    """`(T, 2)` what the sensors add to each frame."""


def load(progress: Progress | None = None) -> "Balance":
    """Declare the task; nothing is fetched."""
    return Balance(
        name="control",
        summary="balance a pole on a cart, velocities hidden; share of 10 s, the loop closed",
        source="simulated; Barto, Sutton & Anderson 1983",
        frame=Frame(channels=("position", "lean"), units=("m", "rad"), sample_rate_hz=RATE_HZ),
        output=Output(
            kind="value",
            labels=("force",),
            units="N",
            decision=f"the force on the cart until the next frame, at most {FORCE_N:g} N",
        ),
        folds=1,
        load=rollouts,
        divide=lambda recordings, _: _divide(recordings),
        training=TRAINING,
    )


def _divide(recordings: Sequence[Recording]) -> Split:
    train, rest = recordings[: -VALIDATION - TEST], recordings[-VALIDATION - TEST :]
    return Split(tuple(train), tuple(rest[:VALIDATION]), tuple(rest[VALIDATION:]))


@cache
def rollouts() -> tuple[Rollout, ...]:
    """Simulate all starts: those to train on first, then those of validation and of test."""
    return (
        *record(TRAIN, TRAIN_S, seed=0, slips=SLIP_N),
        *record(VALIDATION, VALIDATION_S, seed=1),
        *record(TEST, TEST_S, seed=2),
    )


def record(
    count: int, seconds: float, *, seed: int, slips: tuple[float, float] = (0.0, 0.0)
) -> tuple[Rollout, ...]:
    """Record the teacher from `count` starts, led astray by `slips`; those that fall are left out.

    The target is the force that the teacher wants, not the one that it slips to.
    """
    rng, length = np.random.default_rng(seed), round(seconds * RATE_HZ)
    starts = rng.uniform(-1, 1, (count, 4)) * STARTS
    shoved = rng.random((count, length)) < SHOVES_HZ / RATE_HZ
    shoves = np.where(shoved, rng.normal(0, SHOVE_N, shoved.shape), 0.0)
    noise = (rng.normal(0, 1, (count, length, 2)) * NOISE).astype(np.float32)
    second = round(RATE_HZ)
    slow = rng.normal(0, slips[0], (count, -(-length // second))).repeat(second, axis=1)
    slip = slow[:, :length] + rng.normal(0, slips[1], (count, length))
    states: State = starts
    up = np.ones(count, bool)
    frames, forces = np.empty_like(noise), np.empty((count, length, 1), np.float32)
    for index in range(length):
        frames[:, index] = _seen(states, noise[:, index])
        force = _limited(teacher(states, frames[:, index]))
        forces[:, index, 0] = force
        states = cartpole.advance(states, _limited(force + slip[:, index]) + shoves[:, index])
        up &= ~cartpole.fallen(states)
    return tuple(
        Rollout(
            frames[n], forces[n], SUBJECT, f"seed {seed}, start {n}", starts[n], shoves[n], noise[n]
        )
        for n in np.flatnonzero(up).tolist()
    )


def _seen(states: State, noise: Array) -> Array:
    return states[:, SEEN].astype(np.float32) + noise


def _limited(force: NDArray[np.floating]) -> State:
    return np.clip(force.astype(np.float64), -FORCE_N, FORCE_N)


def teacher(states: State, _: Array) -> State:
    """Return the forces of the regulator, which sees all of the state."""
    return -states @ _gain()


_gain = cache(cartpole.regulator)


def no_force(states: State, _: Array) -> State:
    """Let it fall."""
    return np.zeros(len(states))


def by_differences() -> Policy:
    """Return the regulator on velocities that are differences of the frames; it begins now."""
    before: list[Array] = []

    def policy(_: State, frames: Array) -> State:
        speed = (frames - before[-1]) * RATE_HZ if before else np.zeros_like(frames)
        before[:] = [frames]
        return -np.stack([frames, speed], axis=-1).reshape(-1, 4) @ _gain()

    return policy


def by_filter() -> Policy:
    """Return the regulator on a Kalman filter (1960), which knows all noises; it begins now.

    For the linear system nothing that sees frames alone does better.
    """
    system, drive = cartpole.linearised()
    sensors = np.diag(np.square(NOISE))
    shoves = drive @ drive.T * SHOVE_N**2 * SHOVES_HZ / RATE_HZ
    guess, doubt = np.zeros(4), np.diag(np.square(STARTS)) / 3  # they are uniform

    def policy(_: State, frames: Array) -> State:
        nonlocal guess, doubt
        seen = doubt[:, SEEN]
        gain = seen @ np.linalg.inv(seen[SEEN, :] + sensors)
        guess = guess + (frames - guess[..., SEEN]) @ gain.T
        force = _limited(-guess @ _gain())
        guess = guess @ system.T + force[:, None] * drive.T
        doubt = system @ (doubt - gain @ seen.T) @ system.T + shoves
        return force

    return policy


def of_frames(step: Step) -> Policy:
    """Return the policy of a model, which sees frames alone."""
    return lambda _, frames: step(frames)[:, 0]


def balanced(starts: Sequence[Rollout], policy: Policy, length: int) -> NDArray[np.int64]:
    """Return for how many of `length` frames `policy` keeps each pole up: the loop is closed."""
    states: State = np.stack([one.start for one in starts])
    up, frames = np.ones(len(starts), bool), np.zeros(len(starts), np.int64)
    for index in range(length):
        noise = np.stack([one.noise[index] for one in starts])
        shoves = np.array([one.shoves[index] for one in starts])
        force = _limited(policy(states, _seen(states, noise)))
        states = np.where(up[:, None], cartpole.advance(states, force + shoves), states)
        up &= ~cartpole.fallen(states)
        if not up.any():
            break
        frames += up
    return frames


@dataclass(frozen=True)
class Balance(Declared):
    """A force at every frame, judged by how long it keeps the pole up from unseen starts."""

    window: None = None
    warmup: int = 0

    def score(self, predict: Predict, recordings: Sequence[Recording]) -> Score:
        """Return how much of the time the poles stay up, each start from a reset state."""
        return _score(self.losses(predict, recordings))

    def losses(
        self, predict: Predict, recordings: Sequence[Recording], first: int | None = None
    ) -> Losses:
        """Return what of each start's time is lost, in per cent; `first`: of so many frames."""
        return _losses(recordings, of_frames(stepper(predict, len(recordings))), first)

    def frame_losses(self, predict: Predict, recordings: Sequence[Recording]) -> Losses:
        """Return how far forces are from the teacher's, along the teacher's own path."""
        longest = max(len(recording.frames) for recording in recordings)
        return value_losses(predict, cut_windows(recordings, longest, ragged=True), 0, "N")

    def decide(self, outputs: Array) -> NDArray[np.float32]:
        """Return the forces."""
        return outputs

    def augment(self, frames: Array, _: np.random.Generator) -> Array:
        """Return frames as they are: starts, shoves and sensors vary enough."""
        return frames

    def baselines(self, split: Split) -> dict[str, Score]:
        """Score no force, the regulator on velocities found in two ways, and the teacher itself.

        The teacher sees velocities that no model is shown: it is what can be reached at most.
        """
        policies = {
            "no force": no_force,
            "regulator on differences": by_differences(),
            "regulator on a filter": by_filter(),
            "teacher, sees velocities": teacher,
        }
        return {name: _score(_losses(split.test, one)) for name, one in policies.items()}


def _losses(recordings: Sequence[Recording], policy: Policy, first: int | None = None) -> Losses:
    starts = [one for one in recordings if isinstance(one, Rollout)]
    length = min(len(one.frames) for one in starts)
    length = min(length, first or length)
    lost = 100 * (1 - balanced(starts, policy, length) / length)
    number = np.arange(len(starts))
    return Losses(
        metric=METRIC,
        higher_is_better=True,
        total=lost,
        count=np.ones_like(number),
        subject=np.array([one.subject for one in starts]),
        recording=number,
        start=np.zeros_like(number),
    )


def _score(losses: Losses) -> Score:
    subjects = {SUBJECT: losses.value}
    return Score(
        METRIC, losses.value, higher_is_better=True, count=len(losses.total), per_subject=subjects
    )
