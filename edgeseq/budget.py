"""A device's promises against what was measured: pass, fail, or honestly not checked."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeseq.bundle import Bundle
from edgeseq.contract import Contract
from edgeseq.devices import Budget, DeviceProfile
from edgeseq.errors import PromiseError

Word = Literal["pass", "fail", "not checked"]
SLOW_SHARE = 0.01
"""Share of steps that may be longer than a 99th percentile."""


@dataclass(frozen=True)
class Verdict:
    """What became of one promise for one variant."""

    variant: str
    promise: str
    """The budget's key, or what was compared with a baseline."""
    verdict: Word
    limit: str
    """The limit with its unit, as text."""
    measured: float | None
    """The number that was held against it, in the limit's unit."""
    reason: str
    """The statistics that justify the verdict, in a few words."""


@dataclass(frozen=True)
class Measured:
    """What a budget is held against, of one variant; none where it was not measured."""

    variant: str
    steps_ms: NDArray[np.float64] | None
    """Latencies of single steps `(n,)`, in milliseconds."""
    peak_rss_mib: float | None
    model_kib: float | None
    state_kib: float | None
    operators: frozenset[str] | None
    """Operators of the graph, or none where neither manifest nor file tells."""


# A file's size is the same everywhere; time and memory are only true on the device itself.
_LIMITS = (("peak_rss_mib", "MiB", True), ("model_kib", "KiB", False), ("state_kib", "KiB", False))


def judge(
    profile: DeviceProfile, measured: Measured, *, elsewhere: str | None
) -> tuple[Verdict, ...]:
    """Hold `measured` against every promise of `profile`; keys without a limit are left out.

    `elsewhere` says why the numbers are not the device's, or is none if they are. Elsewhere time
    and memory are `not checked`: a fast laptop proves nothing about a slow board.
    """
    budget = profile.budget
    return (
        *_steps(budget, measured, elsewhere),
        *_limits(budget, measured, elsewhere),
        *_operators(budget, measured),
    )


def state_kib(contract: Contract) -> float:
    """Return the KiB of one stream's state, for ever: no limit holds one that grows."""
    return math.inf if contract.grows else round(contract.state_bytes / 1024, 3)


def judge_bundle(profile: DeviceProfile, bundle: Bundle, variants: Iterable[str]) -> list[Verdict]:
    """Judge what needs no measurement: sizes and operators, the same on every machine."""
    verdicts: list[Verdict] = []
    for name in variants:
        variant = bundle.variant(name)
        known = Measured(
            variant=name,
            steps_ms=None,
            peak_rss_mib=None,
            model_kib=round(variant.bytes / 1024, 3),
            state_kib=state_kib(variant.contract),
            operators=frozenset(variant.operators),
        )
        hint = f"check times nothing; run edgeseq bench --device {profile.name} on it"
        verdicts.extend(judge(profile, known, elsewhere=hint))
    return verdicts


def require_promises(
    verdicts: Iterable[Verdict], *, strict: bool = False, where: str, next_step: str
) -> None:
    """Raise `PromiseError` (exit 3) that names every promise that failed.

    Args:
        verdicts: what became of the promises.
        strict: one that was not checked fails, too.
        where: whose promises they are.
        next_step: what to type next.
    """
    bad = ("fail", "not checked") if strict else ("fail",)
    broken = [item for item in verdicts if item.verdict in bad]
    if broken:
        listed = "; ".join(f"{item.variant} {item.promise}: {item.reason}" for item in broken)
        raise PromiseError(f"{len(broken)} promise(s) of {where} broke: {listed}. {next_step}")


def share_bounds(count: int, total: int, *, z: float = 1.645) -> tuple[float, float]:
    """Return one-sided 95 % bounds of a share of which `count` of `total` were seen.

    Wilson's score interval (1927): unlike count/total plus or minus an error, it holds near 0.
    """
    share, weight = count / total, z * z / total
    centre = share + weight / 2
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4)
    return max(0.0, (centre - half) / (1 + weight)), min(1.0, (centre + half) / (1 + weight))


def _steps(budget: Budget, measured: Measured, elsewhere: str | None) -> Iterator[Verdict]:
    """Judge the 99th percentile by how many steps were longer: few steps cannot tell."""
    limit, steps = budget.step_p99_ms, measured.steps_ms
    if limit is None:
        return
    p99: float | None = None
    verdict: Word = "not checked"
    if steps is not None:
        p99 = round(float(np.quantile(steps, 1 - SLOW_SHARE)), 4)
    if elsewhere:
        reason = elsewhere
    elif steps is None:
        reason = "not measured on this system"
    else:
        slow = int((steps > limit).sum())
        low, high = share_bounds(slow, len(steps))
        reason = (
            f"{slow} of {len(steps):,} steps took more than {limit:g} ms: "
            f"{100 * low:.2g} to {100 * high:.2g} % of all (95 %), 1 % may"
        )
        if high <= SLOW_SHARE:
            verdict = "pass"
        elif low > SLOW_SHARE:
            verdict = "fail"
        else:
            reason += "; measure longer"
    yield Verdict(measured.variant, "step_p99_ms", verdict, f"{limit:g} ms", p99, reason)


def _limits(budget: Budget, measured: Measured, elsewhere: str | None) -> Iterator[Verdict]:
    for promise, unit, device_only in _LIMITS:
        limit: float | None = getattr(budget, promise)
        value: float | None = getattr(measured, promise)
        if limit is None:
            continue
        verdict: Word
        if device_only and elsewhere:
            verdict, reason = "not checked", elsewhere
        elif value is None:
            verdict, reason = "not checked", "not measured on this system"
        elif value == math.inf:
            verdict, reason = "fail", "it grows with every frame, so no limit holds it"
        elif value <= limit:
            verdict, reason = "pass", f"{value:g} {unit} is within {limit:g} {unit}"
        else:
            verdict, reason = "fail", f"{value:g} {unit} is more than {limit:g} {unit}"
        known = None if value == math.inf else value
        yield Verdict(measured.variant, promise, verdict, f"{limit:g} {unit}", known, reason)


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
