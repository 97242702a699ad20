"""Which of two variants to ship: the rule, and the sentence that gives its reasons."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgeseq.bundle import Variant
from edgeseq.contract import Tolerance
from edgeseq.measured import Accuracy, Parity

FASTER = 0.97
"""Latency over fp32's below which a variant is faster: nearer to 1, the next run may turn it."""


@dataclass(frozen=True)
class Choice:
    """The variant to ship, and why."""

    preferred: str
    because: str


@dataclass(frozen=True)
class _Finding:
    holds: bool
    text: str


def prefer(
    fp32: tuple[str, Variant],
    int8: tuple[str, Variant],
    *,
    max_drop: float,
    no_accuracy: str = "it was not measured",
) -> Choice:
    """Prefer int8 only if it is smaller, faster here, as accurate and within its tolerance.

    Args:
        fp32: name and measurements of the variant that was quantized.
        int8: name and measurements of the result.
        max_drop: largest loss of the task's metric, as `drop` counts it; all of the paired drop's
            interval has to lie within.
        no_accuracy: why there is no accuracy, if there is none; then int8 is not preferred.
    """
    findings = [
        _size(fp32[1], int8[1]),
        _speed(int8[1]),
        _accuracy(fp32[1], int8[1], max_drop, no_accuracy),
        *_tolerance(int8[1]),
    ]
    against = [finding.text for finding in findings if not finding.holds]
    favour = [finding.text for finding in findings if finding.holds]
    if not against:
        return Choice(int8[0], f"{int8[0]} is {_join(favour)}")
    but = f"; it is {_join(favour)}" if favour else ""
    return Choice(fp32[0], f"{int8[0]} is {_join(against)}{but}")


def drop(fp32: Accuracy, int8: Accuracy) -> float:
    """Return how much worse int8 is: in points of a percentage, else in per cent of fp32's value.

    Negative where int8 is better.
    """
    loss = fp32.value - int8.value if fp32.higher_is_better else int8.value - fp32.value
    if fp32.higher_is_better and "%" in fp32.metric:  # an error in % is none
        return loss
    if not fp32.value:
        return math.copysign(math.inf, loss) if loss else 0.0
    return 100 * loss / abs(fp32.value)


def _size(fp32: Variant, int8: Variant) -> _Finding:
    smaller = int8.bytes < fp32.bytes
    text = f"{int8.bytes / 1000:.0f} kB against {fp32.bytes / 1000:.0f} kB"
    return _Finding(smaller, f"{'smaller' if smaller else 'not smaller'} ({text})")


def _speed(int8: Variant) -> _Finding:
    latency = int8.latency
    if latency is None:
        return _Finding(False, "of unknown speed (it is not stepped one frame a call)")
    ratio = latency.median_us / latency.fp32_median_us
    faster = ratio < FASTER
    text = (
        f"{latency.median_us:.1f} µs a step against {latency.fp32_median_us:.1f} µs, "
        f"{latency.machine}"
    )
    word = "faster here" if faster else "no faster here" if ratio <= 1 / FASTER else "slower here"
    return _Finding(faster, f"{word} ({text})")


def _accuracy(fp32: Variant, int8: Variant, max_drop: float, missing: str) -> _Finding:
    """Judge the drop by its interval, which has to end within `max_drop`.

    What the data cannot decide is not counted as kept, however small the drop seems to be.
    """
    if fp32.accuracy is None or int8.accuracy is None:
        return _Finding(False, f"of unknown accuracy ({missing})")
    paired, limit = int8.paired, f"max {max_drop:g}"
    if paired is None:
        lost = drop(fp32.accuracy, int8.accuracy)
        text = f"drop {lost:.2g}, {limit}; too few recordings for an interval"
        return _Finding(False, f"of uncertain accuracy ({text})")
    text = (
        f"drop {paired.drop:.2f} {paired.unit}, 95 % {paired.low:.2f} to {paired.high:.2f} over "
        f"{paired.clusters} {paired.by}, {limit}"
    )
    verdict = paired.verdict(max_drop)
    if verdict == "inconclusive":
        return _Finding(False, f"of uncertain accuracy ({text}: inconclusive)")
    kept = verdict == "within"
    return _Finding(kept, f"{'as accurate' if kept else 'less accurate'} ({text})")


def broken_tolerance(parity: Parity, limit: Tolerance) -> Iterator[str]:
    """Yield what of a tolerance is broken, in words; nothing where it is kept."""
    if parity.changed_decisions > limit.changed_decisions:
        text = f"{parity.changed_decisions:.2%} of frames, limit {limit.changed_decisions:.2%}"
        yield f"changing decisions ({text})"
    if parity.noise > limit.noise:
        text = f"RMS error {parity.noise:.2g} of the outputs' RMS, limit {limit.noise:g}"
        yield f"too noisy ({text})"
    if parity.relative_error > limit.relative_error:
        text = f"{parity.relative_error:.2g} of the outputs' RMS, limit {limit.relative_error:g}"
        yield f"out of tolerance ({text})"


def _tolerance(int8: Variant) -> Iterator[_Finding]:
    if int8.parity is not None:
        for text in broken_tolerance(int8.parity, int8.tolerance):
            yield _Finding(False, text)


def _join(parts: list[str]) -> str:
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last
