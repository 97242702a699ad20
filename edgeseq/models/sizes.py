"""What every family asks of its sizes."""

from bisect import bisect_right
from collections.abc import Callable, Collection
from typing import Any

from edgeseq.errors import ConfigError, UsageError


def check_sizes(
    family: str,
    sizes: dict[str, Any],
    mistakes: tuple[str, ...] = (),
    zero: Collection[str] = (),
) -> None:
    """Raise `ConfigError` with `mistakes` and all counts that are below 1, or no dropout.

    `zero`: counts that may be 0.
    """
    dropout = sizes["dropout"]
    found = [
        f"{name}: {size} is not at least {int(name not in zero)}"
        for name, size in sizes.items()
        if name != "dropout" and isinstance(size, int) and size < int(name not in zero)
    ]
    if not 0 <= dropout < 1:
        found.append(f"dropout: {dropout} is not at least 0 and below 1")
    found = found or list(mistakes)  # what sizes below 1 break would only repeat them
    if found:
        raise ConfigError(family, found)


def block_parameters(width: int, feed_forward: int) -> int:
    """Count the parameters of a block: attention, a feed-forward network, a norm before each."""
    return 4 * width**2 + 2 * width * feed_forward + 4 * width


def largest(count: Callable[[int], int], parameters: int, least: int = 1) -> int:
    """Return the largest size from `least` up that has at most `parameters`, or `least` less 1.

    Args:
        count: the parameters of a size; more the larger it is, and never fewer than the size.
        parameters: how many there may be.
        least: the smallest size there is.
    """
    return least - 1 + bisect_right(range(least, parameters + 1), parameters, key=count)


def too_few(what: str, parameters: int, enough: int) -> UsageError:
    """Return the error that `what` cannot have only `parameters`; so many would be `enough`."""
    return UsageError(f"{what} cannot have only {parameters} parameters; try --params {enough}")
