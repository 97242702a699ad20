"""From data to pixels: linear and logarithmic scales with ticks that people would choose."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from `low`…`high` to the pixels `start`…`end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`; beyond the ends it stays on them."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        share = (at - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the scale, about `count` of them."""
        return _log_ticks(self, count) if self.log else _linear_ticks(self, count)


def linear(
    values: Iterable[float], start: float, end: float, *, zero: bool = False, pad: float = 0.06
) -> Scale:
    """Return a scale around `values` with some air; from zero where the bars must not lie."""
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    if zero:
        low = min(low, 0.0)
    room = pad * ((high - low) or abs(high) or 1.0)
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


def logarithmic(values: Iterable[float], start: float, end: float, *, pad: float = 1.15) -> Scale:
    """Return a logarithmic scale around the positive ones of `values`."""
    known = [value for value in values if value > 0] or [1.0, 10.0]
    return Scale(min(known) / pad, max(known) * pad, start, end, log=True)


def _linear_ticks(scale: Scale, count: int) -> list[float]:
    span = scale.high - scale.low
    rough = span / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _log_ticks(scale: Scale, count: int) -> list[float]:
    decades = math.log10(scale.high / scale.low)
    exponents = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    steps: tuple[float, ...] = (1,)
    if decades < 0.9:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)
    elif decades < 3:
        steps = (1, 2, 5)
    every = max(1, round(len(exponents) / (2 * count))) if decades >= 3 else 1
    wanted = [s * 10.0**e for e in exponents if e % every == 0 for s in steps]
    inside = [value for value in wanted if scale.low <= value <= scale.high]
    return inside if len(inside) > 1 else _linear_ticks(scale, count)


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions apart until neighbours are `gap` away, in their order, within `low`…`high`."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = list(wanted)
    for earlier, later in pairwise(order):
        placed[later] = max(placed[later], placed[earlier] + gap)
    limit = high
    for index in reversed(order):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    shift = max(0.0, low - min(placed, default=low))
    return [position + shift for position in placed]
