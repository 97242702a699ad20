"""Slower than before, or than another? By how much, how sure, and is it more than is allowed?"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgeseq.bench import yardstick
from edgeseq.bench.results import BenchResult, VariantResult
from edgeseq.bench.stats import Ratio
from edgeseq.bench.yardstick import AgainstFloor
from edgeseq.budget import Verdict, Word

MARGIN = 0.05
"""How much slower is still the same, where nobody said otherwise."""


@dataclass(frozen=True)
class Change:
    """One quantity of one variant in two results."""

    variant: str
    quantity: str
    unit: str
    old: float | None
    new: float | None
    ratio: float | None
    """New over old; of `hot p50` in multiples of the floor, or none where nobody measured that."""
    low: float | None = None
    high: float | None = None
    """Ends of the ratio's 95 % interval, where there is one."""


@dataclass(frozen=True)
class Comparison:
    """Two results, quantity by quantity."""

    old: str
    new: str
    """Where they come from."""
    apart: str | None
    """Why times must not be compared: another machine, other versions; none if they may."""
    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    """Variants that only one of the two has."""
    verdicts: tuple[Verdict, ...]
    """Of the quantities that can be judged across runs, against the margin."""


def within_margin(ratio: Ratio, margin: float) -> Verdict:
    """Say whether `ratio.candidate` is slower than its reference by more than `margin` (0.05)."""
    return _verdict(ratio.candidate, f"hot p50 vs {ratio.reference}", _of(ratio), margin)


def against_baseline(
    variant: str, old: AgainstFloor, new: AgainstFloor, margin: float, *, name: str = "before"
) -> Verdict:
    """Say the same of two runs, each compared with the floor that took turns with it."""
    return _verdict(variant, f"hot p50 vs {name}", yardstick.change(old, new), margin)


def compare_results(
    old: BenchResult, new: BenchResult, margin: float, *, names: tuple[str, str] = ("old", "new")
) -> Comparison:
    """Compare two runs, variant by variant.

    Nothing took turns between two runs, so a slow phase of the machine would look like a
    regression. Hot medians are therefore compared in multiples of what a session that does nothing
    took in turns with them, in several fresh processes of either run (`edgeseq.bench.yardstick`).
    Paced times have no such yardstick: they are shown, never judged.
    """
    apart = _apart(old, new)
    twins = [(old.variant(v.name), v) for v in new.variants if v.name in _names(old)]
    changes = [change for pair in twins for change in _changes(*pair)]
    return Comparison(
        old=names[0],
        new=names[1],
        apart=apart,
        changes=tuple(changes),
        missing=tuple(sorted(_names(old) ^ _names(new))),
        verdicts=tuple(_judged(changes, apart, margin, names[0])),
    )


_Estimate = tuple[float, float, float]
"""A ratio and the ends of its interval."""


def _names(result: BenchResult) -> set[str]:
    return {variant.name for variant in result.variants}


def _apart(old: BenchResult, new: BenchResult) -> str | None:
    """Say why times of two runs are about different things."""
    for what in ("cpu", "architecture", "cores", "onnxruntime"):
        before, now = getattr(old.machine, what), getattr(new.machine, what)
        if before != now:
            return f"{what} was {before}, is {now}"
    for variant in new.variants:
        if variant.name in _names(old) and old.variant(variant.name).session != variant.session:
            return f"{variant.name} ran with other session settings"
    return None


def _changes(old: VariantResult, new: VariantResult) -> Iterator[Change]:
    medians = (new.name, "hot p50", "µs", old.hot.p50_us, new.hot.p50_us)
    if old.against_floor and new.against_floor:
        ratio, low, high = yardstick.change(old.against_floor, new.against_floor)
        yield Change(*medians, _four(ratio), _four(low), _four(high))
    else:
        yield Change(*medians, None)
    pairs: tuple[tuple[str, str, float | None, float | None], ...] = (
        ("hot p99", "µs", old.hot.p99_us, new.hot.p99_us),
        ("paced p50", "µs", *(v.paced.step.p50_us if v.paced else None for v in (old, new))),
        ("paced p99", "µs", *(v.paced.step.p99_us if v.paced else None for v in (old, new))),
        ("CPU", "s/hour", *(v.paced.cpu_seconds_per_hour if v.paced else None for v in (old, new))),
        ("peak memory", "MiB", *(v.memory.peak_rss_mib if v.memory else None for v in (old, new))),
        ("cold start", "ms", *(v.cold.total_ms if v.cold else None for v in (old, new))),
        ("file", "KiB", old.file_kib, new.file_kib),
        ("state", "KiB", old.state_kib, new.state_kib),
        ("accuracy", *_accuracy(old, new)),
    )  # type: ignore[assignment]
    for quantity, unit, before, now in pairs:
        share = _four(now / before) if before and now is not None else None
        if before is not None or now is not None:
            yield Change(new.name, quantity, unit, before, now, share)


def _accuracy(old: VariantResult, new: VariantResult) -> tuple[str, float | None, float | None]:
    metric = next((v.accuracy.metric for v in (new, old) if v.accuracy), "")
    before, now = (v.accuracy.value if v.accuracy else None for v in (old, new))
    return metric, before, now


def _judged(changes: list[Change], apart: str | None, margin: float, old: str) -> Iterator[Verdict]:
    """Judge what can be judged across runs: hot medians on one machine, memory, sizes."""
    for change in changes:
        if change.quantity not in ("hot p50", "peak memory", "file", "state"):
            continue
        promise, of_machine = (
            f"{change.quantity} vs {old}",
            change.quantity not in ("file", "state"),
        )
        unknown = apart if of_machine else None
        if change.ratio is None:
            unknown = unknown or "one of the two was not measured in fresh processes"
        if unknown or change.ratio is None:
            limit = _limit(margin)
            yield Verdict(
                change.variant, promise, "not checked", limit, change.ratio, unknown or ""
            )
        else:
            low = change.ratio if change.low is None else change.low
            high = change.ratio if change.high is None else change.high
            yield _verdict(change.variant, promise, (change.ratio, low, high), margin)


def _of(ratio: Ratio) -> _Estimate:
    return ratio.ratio, ratio.low, ratio.high


def _verdict(variant: str, promise: str, estimate: _Estimate, margin: float) -> Verdict:
    """Fail where all of the interval is beyond the margin, pass where none of it is."""
    ratio, low, high = estimate
    word: Word = "not checked"
    if low > 1 + margin:
        word = "fail"
    elif high <= 1 + margin:
        word = "pass"
    interval = f" [{low:.3f}, {high:.3f}]" if low < high else ""
    unsure = "; measure longer" if word == "not checked" else ""
    reason = f"{ratio:.3f} times{interval}, {_limit(margin)} allowed{unsure}"
    return Verdict(variant, promise, word, _limit(margin), round(ratio, 4), reason)


def _limit(margin: float) -> str:
    return f"{1 + margin:.3g} times"


def _four(value: float) -> float:
    return round(value, 4)
