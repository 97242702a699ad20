"""A pole on a cart that runs on a track: its physics, and the regulator that balances it.

Masses, lengths, limits and rate are those of Barto, Sutton & Anderson 1983, "Neuronlike adaptive
elements that can solve difficult learning control problems" (IEEE SMC 13), without their friction.
States are `(..., 4)` float64: position m, velocity m/s, lean rad, rate of lean rad/s.
"""

import math

import numpy as np
from numpy.typing import NDArray

State = NDArray[np.floating]

GRAVITY = 9.8
CART_KG, POLE_KG = 1.0, 0.1
HALF_POLE_M = 0.5
TRACK_M = 2.4
"""The cart may be so far from the middle."""
LEAN_RAD = math.radians(12)
"""The pole may lean so far."""
FORCE_N = 10.0
"""The motor's largest force, to either side."""
RATE_HZ = 50.0

STATE_COST = (1.0, 0.1, 10.0, 0.1)
"""Of the square of each part of the state; a lean of 0.1 rad weighs as 0.3 m off the middle."""
FORCE_COST = 0.01

_TINY = 1e-6


def derivative(state: State, force: State) -> State:
    """Return the rate of change of states `(..., 4)` under forces `(...)` on the cart."""
    _, velocity, lean, spin = np.moveaxis(state, -1, 0)
    mass, moment = CART_KG + POLE_KG, POLE_KG * HALF_POLE_M
    sine, cosine = np.sin(lean), np.cos(lean)
    push = (force + moment * spin**2 * sine) / mass
    turn = (GRAVITY * sine - cosine * push) / (HALF_POLE_M * (4 / 3 - POLE_KG * cosine**2 / mass))
    return np.stack([velocity, push - moment * turn * cosine / mass, spin, turn], axis=-1)


def advance(state: State, force: State, seconds: float = 1 / RATE_HZ) -> State:
    """Return the states after `seconds` of constant force: one step of Runge and Kutta's fourth."""
    first = derivative(state, force)
    second = derivative(state + seconds / 2 * first, force)
    third = derivative(state + seconds / 2 * second, force)
    fourth = derivative(state + seconds * third, force)
    change: State = seconds / 6 * (first + 2 * second + 2 * third + fourth)
    return state + change


def energy(state: State) -> State:
    """Return the kinetic and potential energy in joules; no force, no change."""
    _, velocity, lean, spin = np.moveaxis(state, -1, 0)
    moment = POLE_KG * HALF_POLE_M
    moving = (CART_KG + POLE_KG) * velocity**2 / 2 + moment * np.cos(lean) * velocity * spin
    turning = 2 / 3 * moment * HALF_POLE_M * spin**2
    total: State = moving + turning + moment * GRAVITY * np.cos(lean)
    return total


def fallen(state: State) -> NDArray[np.bool_]:
    """Say of states `(N, 4)` whether the pole leans too far or the cart has left its track."""
    return ~((np.abs(state[:, 0]) <= TRACK_M) & (np.abs(state[:, 2]) <= LEAN_RAD))


def linearised() -> tuple[State, State]:
    """Return A `(4, 4)` and B `(4, 1)` of the next state near the upright one, A x + B force."""
    still, none = np.zeros(4), np.zeros(4)
    nudge = np.eye(4) * _TINY
    system = (advance(nudge, none) - advance(-nudge, none)) / (2 * _TINY)
    push = np.array(_TINY)
    drive = (advance(still, push) - advance(still, -push)) / (2 * _TINY)
    return system.T, drive[:, None]


def regulator() -> State:
    """Return the gain `(4,)` whose force, -gain · state, costs least for ever (Kalman 1960).

    The discrete Riccati equation is iterated until it stands.
    """
    system, drive = linearised()
    cost, value = np.diag(STATE_COST), np.diag(STATE_COST)
    for _ in range(10_000):
        following = cost + system.T @ value @ (system - drive @ _gain(system, drive, value))
        if np.allclose(following, value, rtol=1e-12, atol=0):
            break
        value = following
    gain: State = _gain(system, drive, value)[0]
    return gain


def _gain(system: State, drive: State, value: State) -> State:
    """Return the gain `(1, 4)` that costs least, if `value` is what the next state costs."""
    gain: State = np.linalg.solve(FORCE_COST + drive.T @ value @ drive, drive.T @ value @ system)
    return gain
