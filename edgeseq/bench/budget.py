"""A device's promises against what was measured: pass, fail, or honestly not checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgeseq.devices import Budget, DeviceProfile


@dataclass(frozen=True)
class Verdict:
    """What became of one promise for one variant."""

    variant: str
    promise: str
    """The budget's key."""
    verdict: Literal["pass", "fail", "not checked"]
    limit: str
    """The limit with its unit, as text."""
    measured: float | None
    """The number that was held against it, in the limit's unit."""
    reason: str
    """Why the verdict is what it is, in a few words."""


@dataclass(frozen=True)
class Measured:
    """What a budget is held against, of one variant; none where it was not measured."""

    variant: str
    step_p99_ms: float | None
    peak_rss_mib: float | None
    model_kib: float | None
    state_kib: float | None
    operators: frozenset[str] | None
    """Operators of the graph, or none where neither manifest nor file tells."""


# A file's size is the same everywhere; time and memory are only true on the device itself.
_LIMITS = (
    ("step_p99_ms", "ms", True),
    ("peak_rss_mib", "MiB", True),
    ("model_kib", "KiB", False),
    ("state_kib", "KiB", False),
)


def judge(
    profile: DeviceProfile, measured: Measured, *, elsewhere: str | None
) -> tuple[Verdict, ...]:
    """Hold `measured` against every promise of `profile`; keys without a limit are left out.

    `elsewhere` says why the numbers are not the device's, or is none if they are. Elsewhere time
    and memory are `not checked`: a fast laptop proves nothing about a slow board.
    """
    budget = profile.budget
    return (*_limits(budget, measured, elsewhere), *_operators(budget, measured))


def _limits(budget: Budget, measured: Measured, elsewhere: str | None) -> Iterator[Verdict]:
    for promise, unit, device_only in _LIMITS:
        limit: float | None = getattr(budget, promise)
        value: float | None = getattr(measured, promise)
        if limit is None:
            continue
        verdict: Literal["pass", "fail", "not checked"]
        if device_only and elsewhere:
            verdict, reason = "not checked", elsewhere
        elif value is None:
            verdict, reason = "not checked", "not measured on this system"
        elif value <= limit:
            verdict, reason = "pass", f"{value:g} {unit} is within {limit:g} {unit}"
        else:
            verdict, reason = "fail", f"{value:g} {unit} is more than {limit:g} {unit}"
        yield Verdict(measured.variant, promise, verdict, f"{limit:g} {unit}", value, reason)


def _operators(budget: Budget, measured: Measured) -> Iterator[Verdict]:
    forbidden = frozenset(budget.forbidden_operators)
    if not forbidden:
        return
    limit = "none of " + ", ".join(sorted(forbidden))
    if measured.operators is None:
        yield Verdict(
            measured.variant, "forbidden_operators", "not checked", limit, None,
            "the operators of this file are not recorded",
        )  # fmt: skip
        return
    found = sorted(forbidden & measured.operators)
    yield Verdict(
        variant=measured.variant,
        promise="forbidden_operators",
        verdict="fail" if found else "pass",
        limit=limit,
        measured=float(len(found)),
        reason=f"uses {', '.join(found)}" if found else "uses none of them",
    )
