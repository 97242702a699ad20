"""What a result must hold before others can build on it: whole samples, its device, its name."""

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq.bench.pace import Paced
from edgeseq.bench.results import BenchResult
from edgeseq.bench.samples import KEPT, thin, unpack
from edgeseq.bench.stats import Latency
from edgeseq.devices import is_device, list_devices, load_device
from edgeseq.errors import EdgeseqError

ROUNDING_US = 0.001
"""A summary keeps whole nanoseconds."""
LONGEST_US = 2**32 / 1e3
"""Samples are cut to what 32 bits hold; a summary is not."""
TIMED = ("step_p99_ms", "peak_rss_mib", "hot p50", "peak memory")
"""How promises begin that only the machine itself can keep."""


def load_result(path: Path) -> BenchResult:
    """Read the result at `path`; raise `EdgeseqError` when it is damaged."""
    result = BenchResult.load(path)
    if found := damage(result):
        raise EdgeseqError(f"{path} is damaged: {'; '.join(found)}. {_AGAIN}")
    return result


def check_contribution(path: Path) -> BenchResult:
    """Read a result as `devices/results/` takes it; one `EdgeseqError` names all that is wrong."""
    result = BenchResult.load(path)
    if found := mistakes(result, path.name):
        raise EdgeseqError(f"{path} cannot be added to devices/results: {'; '.join(found)}")
    return result


def damage(result: BenchResult) -> list[str]:
    """Say where figures are no numbers, or are not those of the samples they stand beside."""
    found = []
    for path, value in _walk(result, ""):
        if isinstance(value, Latency):
            found += [f"{path}: {what}" for what in _unlike_its_samples(value)]
        elif isinstance(value, Paced):
            found += [f"{path}: {what}" for what in _miscounted(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            found.append(f"{path}: {value} is no number")
    return found


def _untimed(result: BenchResult) -> Iterator[str]:
    """Say where steps are counted that its settings never timed."""
    hot, pace = result.hot_settings, result.pace_settings
    for variant in result.variants:
        if variant.hot.count != hot.rounds * hot.block:
            yield (
                f"variants.{variant.name}.hot: {variant.hot.count:,} steps, its settings time "
                f"{hot.rounds * hot.block:,}"
            )
        if variant.paced and pace and variant.paced.frames != pace.segments * pace.steps:
            yield (
                f"variants.{variant.name}.paced: {variant.paced.frames:,} frames, its settings "
                f"time {pace.segments * pace.steps:,}"
            )


def mistakes(result: BenchResult, name: str) -> list[str]:
    """Return everything that keeps a result out of `devices/results/`; `name` is its file's."""
    return [
        *damage(result),
        *_untimed(result),
        *_of_the_name(result, name),
        *_of_the_subjects(result),
        *_of_the_device(result),
    ]


def _of_the_name(result: BenchResult, name: str) -> Iterator[str]:
    wanted = f"{result.device}-{result.created[:10]}"
    if result.device and not re.fullmatch(rf"{re.escape(wanted)}(-[a-z0-9-]+)?\.json", name):
        yield f"its name is {name}, not {wanted}.json or {wanted}-WORDS.json"


def _of_the_subjects(result: BenchResult) -> Iterator[str]:
    if not result.variants:
        yield "it measured nothing"
    for variant in result.variants:
        if not re.fullmatch(r"[0-9a-f]{64}", variant.sha256):
            yield f"variants.{variant.name}.sha256: {variant.sha256!r} is no SHA-256"
        if not variant.bundle.strip():
            yield f"variants.{variant.name}.bundle: is empty"


def _of_the_device(result: BenchResult) -> Iterator[str]:
    """Say where it claims to be about a device that it did not run on."""
    if result.device not in list_devices():
        yield f"device: {result.device!r} has no profile; measure with: edgeseq bench --device NAME"
        return
    here = is_device(load_device(result.device), result.machine)
    if result.status == "measured":
        if not result.is_device:
            yield f"is_device: it was measured on another machine than {result.device}"
        elif not here:
            yield f"is_device: its machine does not match the profile {result.device}"
        for item in result.budget:
            if item.verdict == "fail":
                yield f"budget: {item.variant} {item.promise} broke: {item.reason}"
        return
    if result.is_device:
        yield f"is_device: what is {result.status} did not run on the device"
    for item in result.budget:
        if item.verdict == "pass" and item.promise.startswith(TIMED):
            yield f"budget: {item.variant} {item.promise} cannot pass where it is {result.status}"


def _unlike_its_samples(latency: Latency) -> Iterator[str]:
    try:
        kept = unpack(latency.samples)
    except ValueError as error:
        yield f"samples cannot be unpacked: {error}"
        return
    count = len(thin(np.empty(latency.count, np.int64))) if latency.count > 0 else 0
    if count == 0 or len(kept) != count:
        yield f"{len(kept):,} samples, but {latency.count:,} steps would keep {count:,}"
        return
    for name, value, low, high in _bounds(latency, kept / 1e3):
        if not low - ROUNDING_US <= value <= high + ROUNDING_US:
            yield f"{name} is {value:g}, its samples say {low:g}" + (
                "" if low == high else f" to {high:g}"
            )


def _bounds(latency: Latency, micro: Any) -> Iterator[tuple[str, float, float, float]]:  # noqa: ANN401 - an array
    """Yield figures with what they can be; of thinned samples only the ends are known."""
    if latency.max_us >= LONGEST_US:
        return
    low, high = float(micro.min()), float(micro.max())
    if latency.count > KEPT:
        yield "min_us", latency.min_us, 0.0, low
        yield "max_us", latency.max_us, high, math.inf
        return
    exact = {"min_us": low, "max_us": high, "mean_us": float(micro.mean())}
    levels = {"p50_us": 0.5, "p90_us": 0.9, "p95_us": 0.95, "p99_us": 0.99, "p999_us": 0.999}
    exact |= {name: float(np.quantile(micro, level)) for name, level in levels.items()}
    for name, value in exact.items():
        yield name, getattr(latency, name), value, value


def _miscounted(paced: Paced) -> Iterator[str]:
    if not paced.frames == paced.step.count == paced.late.count:
        yield (
            f"{paced.frames:,} frames, {paced.step.count:,} steps and {paced.late.count:,} "
            "wake-ups are not the same"
        )
        return
    try:
        seen = int(paced.misses.sum())
    except ValueError:  # samples that cannot be read, or too few: said where they stand
        return
    unseen = paced.frames - len(paced.misses)
    if not seen <= paced.missed <= seen + unseen:
        yield f"{paced.missed:,} frames missed, its samples say {seen:,}"


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any field
    """Yield every value below `value` with its path, tables of their own before what is in them."""
    if dataclasses.is_dataclass(value):
        yield path, value
        names = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        for name, inner in names.items():
            yield from _walk(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{path}.{getattr(inner, 'name', number)}")
    else:
        yield path, value


_AGAIN = f"Measure again with: {BenchResult.COMMAND}"
