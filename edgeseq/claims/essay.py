"""The essay's own rule for choosing: a Transformer, unless three things hold at once."""

from dataclasses import dataclass

RULE = (
    "take a Transformer, unless all hold: strictly streaming, very scarce compute, short sequences "
    "with little data"
)
SHORT, LITTLE = 64, 0.1
"""Frames, and share of the training set. The essay gives no numbers: these are ours, between the
25 frames and the 128 that claim `choose` calls short and long."""
SCARCE_KIB, SCARCE_US, SCARCE_CPU = 64.0, 100.0, 36.0
"""A budget at or below one of these is very scarce: KiB, µs a step, CPU s/hour (1 % of a core)."""
SCARCE_DEVICES = ("raspberry-pi-zero-2w",)


@dataclass(frozen=True)
class Essay:
    """What the rule says to a question."""

    family: str
    """`lstm` or `transformer`."""
    streaming: bool
    scarce: bool
    short: bool
    """Short sequences with little data."""
    rule: str = RULE


def essay(
    *,
    streaming: bool,
    length: int,
    data: float,
    device: str,
    kib: float | None = None,
    us: float | None = None,
    cpu: float | None = None,
) -> Essay:
    """Apply the rule."""
    limits = ((kib, SCARCE_KIB), (us, SCARCE_US), (cpu, SCARCE_CPU))
    scarce = device in SCARCE_DEVICES or any(
        given is not None and given <= limit for given, limit in limits
    )
    short = length <= SHORT and data <= LITTLE
    family = "lstm" if streaming and scarce and short else "transformer"
    return Essay(family, streaming, scarce, short)
