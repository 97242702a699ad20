"""What every family asks of its sizes."""

from collections.abc import Collection
from typing import Any

from edgeseq.errors import ConfigError


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
