"""Does it age? The slope of a soak's figures, and what becomes of the promise that it is zero."""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.slopes import Slope, theil_sen
from edgeseq.budget import Verdict, Word

FEWEST = 20
"""Windows below which a slope is not judged: too few to know what noise alone would do."""

Quantity = Literal["latency", "memory", "drift", "state", "plain latency"]


@dataclass(frozen=True)
class Limit:
    """Which change over a whole soak is nothing, and which must not stay hidden."""

    unit: str
    negligible: float
    """A change up to this is nothing, however sure it is."""
    matters: float
    """An interval that reaches beyond this could hide an ageing that somebody would notice."""


LATENCY = Limit("times", 0.02, 0.05)
"""Where memory lies is worth 1 to 2 % of a session, and pages move while it runs: of 82 soaks of
200,000 steps with nothing wrong, on a busy machine, 81 moved by less than 2 %, and the other one's
interval said that it could not know. 5 % is what `compare` calls slower."""
MEMORY = Limit("KiB", 256.0, 1024.0)
"""The C library's heap grows by 128 KiB at a time, and Python's pools now and then: of those 82
soaks nine grew by more than 100 KiB, four of them by 256 to 303. 1 MiB over one soak is what a
device with 64 MiB dies of after some dozens."""
STATE = Limit("times the control's", 2.0, 4.0)
"""A ring's position lies anywhere from W to 3 W, and windows may see it rise slowly; a counter that
never stops is dozens of times the control's. What grows slower shows in the outputs."""
ROUNDING = 1e-6
"""Drift below which float32 alone decides: its rounding is 1e-7 a step, and does not add up."""


def drift_limit(noise: float) -> Limit:
    """Return the limit of output drift for a variant whose tolerance for `noise` is this.

    A tenth of the noise that the variant may have against its reference is lost in it; all of it
    would break its promise. Neither is below what rounding does.
    """
    return Limit("of RMS", max(ROUNDING, noise / 10), max(2 * ROUNDING, noise))


@dataclass(frozen=True)
class Trend:
    """How one quantity changed with the steps."""

    quantity: Quantity
    unit: str
    values: tuple[float, ...]
    """Of each window."""
    slope: Slope | None
    """Change per step; none: too few windows."""
    per_million_steps: float | None
    per_hour: float | None
    change: float | None
    """Over the whole soak, by the slope."""
    change_low: float | None
    change_high: float | None
    """Ends of its interval."""
    negligible: float
    """Change over the soak that would be nothing."""
    matters: float
    """Change over the soak that must not stay hidden."""


def trend(
    quantity: Quantity,
    steps: NDArray[np.float64],
    seconds: float,
    values: NDArray[np.float64],
    limit: Limit,
    *,
    confidence: float,
    seed: int = 0,
) -> Trend:
    """Fit `values` of the windows against the `steps` that were done at the end of each.

    The change over the soak is the slope times all its steps, those before the first window's end
    included. `seconds` is how long the steps took.
    """
    common = (quantity, limit.unit, tuple(float(value) for value in values))
    ends = (limit.negligible, limit.matters)
    if len(values) < FEWEST:
        return Trend(*common, None, None, None, None, None, None, *ends)
    slope = theil_sen(steps, values, confidence=confidence, seed=seed)
    total = float(steps[-1])
    return Trend(
        *common,
        slope,
        per_million_steps=slope.per_unit * 1e6,
        per_hour=slope.per_unit * total / seconds * 3600,
        change=slope.per_unit * total,
        change_low=slope.low * total,
        change_high=slope.high * total,
        negligible=limit.negligible,
        matters=limit.matters,
    )


def judge(variant: str, found: Trend, *, blind: str | None = None) -> Verdict:
    """Say whether `found` is flat: three words, and the numbers behind the one that is chosen.

    fail: the interval leaves out zero and the change is more than negligible. pass: no end of the
    interval reaches a change that matters. not checked: one does, so that ageing could hide; or
    `blind` says why the quantity cannot be judged at all. Memory that grew in one third of the
    soak only is a pool that filled: a leak grows all the time.
    """
    word: Word = "not checked"
    change, low, high = found.change, found.change_low, found.change_high
    if blind:
        reason = blind
    elif change is None or low is None or high is None:
        reason = f"{len(found.values)} windows; {FEWEST} are needed"
    else:
        sure = low > 0 or high < 0
        filled = sure and found.quantity == "memory" and not _goes_on(found.values)
        if sure and abs(change) > found.negligible and not filled:
            word = "fail"
        elif max(-low, high) <= found.matters:
            word = "pass"
        reason = (
            f"{change:+.3g} {found.unit} over the soak [{low:+.3g}, {high:+.3g}], "
            f"{found.negligible:.3g} is nothing"
        )
        if filled:
            reason += ", all in one third of it: a pool that filled"
        if word == "not checked":
            reason += f"; a change of {found.matters:.3g} could hide, soak longer"
    limit = f"± {found.negligible:.3g} {found.unit}"
    return Verdict(variant, f"no slope of {found.quantity}", word, limit, change, reason)


def _goes_on(values: tuple[float, ...]) -> bool:
    """Say whether a change is spread: at least a tenth of it in two thirds of the soak or more."""
    marks = [values[round(share * (len(values) - 1))] for share in (0, 1 / 3, 2 / 3, 1)]
    total = marks[-1] - marks[0]
    parts = [later - earlier for earlier, later in itertools.pairwise(marks)]
    return sum(part * total >= 0.1 * total * total for part in parts) >= 2
