"""The cart and its pole obey what physics and control theory say of them independently."""

import math

import numpy as np
import pytest
from scipy.linalg import expm, solve_discrete_are

from edgeseq.tasks import cartpole
from edgeseq.tasks.cartpole import CART_KG, GRAVITY, HALF_POLE_M, POLE_KG, RATE_HZ

MASS = CART_KG + POLE_KG
REDUCED = HALF_POLE_M * (4 / 3 - POLE_KG / MASS)
"""Metres: a pole that turns about its end, on a cart that gives way."""


def path(state, frames, force=0.0):
    states = [np.asarray(state, float)]
    for _ in range(frames):
        states.append(cartpole.advance(states[-1], np.array(force)))
    return np.array(states)


def momentum(states):
    return MASS * states[:, 1] + POLE_KG * HALF_POLE_M * np.cos(states[:, 2]) * states[:, 3]


def test_nothing_is_lost_where_nothing_pushes():
    states = path([0.3, -0.5, 0.4, 1.0], 500)
    assert np.ptp(states[:, 2]) > 3  # it has swung through
    lost = np.ptp(cartpole.energy(states)) / (POLE_KG * GRAVITY * HALF_POLE_M)
    assert lost < 1e-4
    assert np.ptp(momentum(states)) < 1e-5


def test_force_is_the_rate_of_momentum():
    states = path([0.0, 0.2, 0.1, -0.3], 50, force=2.5)
    assert momentum(states)[-1] - momentum(states)[0] == pytest.approx(2.5, rel=1e-5)  # one second


def test_a_hanging_pole_swings_at_its_frequency():
    lean = path([0.0, 0.0, math.pi - 0.01, 0.0], 500)[:, 2] - math.pi
    expected = -0.01 * np.cos(np.sqrt(GRAVITY / REDUCED) * np.arange(501) / RATE_HZ)
    np.testing.assert_allclose(lean, expected, atol=2e-4)


def exact():
    """A and B by the matrix exponential of the equations near the upright pole."""
    rates = np.zeros((5, 5))
    rates[0, 1] = rates[2, 3] = 1
    rates[3, 2], rates[3, 4] = GRAVITY / REDUCED, -1 / (MASS * REDUCED)
    rates[1] = -POLE_KG * HALF_POLE_M / MASS * rates[3]
    rates[1, 4] += 1 / MASS
    whole = expm(rates / RATE_HZ)
    return whole[:4, :4], whole[:4, 4:]


def test_linearised():
    for found, expected in zip(cartpole.linearised(), exact(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_the_regulator_solves_riccatis_equation():
    system, drive = exact()
    cost, effort = np.diag(cartpole.STATE_COST), np.array([[cartpole.FORCE_COST]])
    value = solve_discrete_are(system, drive, cost, effort)
    gain = np.linalg.solve(effort + drive.T @ value @ drive, drive.T @ value @ system)[0]
    np.testing.assert_allclose(cartpole.regulator(), gain, rtol=1e-4)


@pytest.mark.parametrize(
    ("state", "down"),
    [
        ([2.39, 9, 0.2, 9], False),
        ([-2.41, 0, 0, 0], True),
        ([0, 0, 0.21, 0], True),
        ([0, 0, -0.21, 0], True),
        ([0, 0, math.nan, 0], True),
    ],
)
def test_fallen(state, down):
    assert cartpole.fallen(np.array([state])).tolist() == [down]
