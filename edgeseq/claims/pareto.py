"""Pareto fronts: what no other beats in what it gives and in what it costs at once."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Number = Callable[[Item], float | None]


def front(items: Iterable[Item], gain: Number[Item], cost: Number[Item]) -> tuple[Item, ...]:
    """Return the items that no other beats, cheapest first; one without a number is left out.

    One item beats another if it gives as much and costs as little, and is better in one of them:
    twins, equal in both, beat nobody and both stay.
    """
    known = [
        (paid, -given, item)
        for item in items
        if (given := gain(item)) is not None and (paid := cost(item)) is not None
    ]
    known.sort(key=lambda entry: entry[:2])
    kept: list[tuple[float, float, Item]] = []
    for entry in known:
        if not kept or entry[1] < kept[-1][1] or entry[:2] == kept[-1][:2]:
            kept.append(entry)
    return tuple(item for _, _, item in kept)
