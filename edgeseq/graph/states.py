"""Which inputs of a graph are fed from which outputs, guessed from names, shapes and dtypes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """An input or output of a graph."""

    name: str
    dtype: str
    """As NumPy and ONNX name it in lower case: `float32`, `int64`, `bfloat16`."""
    shape: tuple[str, ...] | None
    """Dimensions, numbers or symbols, `?` where nothing is said; none where the rank is unknown."""


@dataclass(frozen=True)
class StatePair:
    """`output` of a call is fed to `input` of the next."""

    input: str
    output: str
    guessed: bool
    """By name, shape and dtype; else the file's contract says so."""


# Input name → output names to look for, the likeliest first. The first rule is for the
# growing caches of decoders, the last ones for single letters, as Silero VAD and PyTorch users
# write them.
_RULES = (
    (r"past_key_values(.*)", (r"present\1", r"present_key_values\1")),
    (r"past(.*)", (r"present\1", r"new\1")),
    (r"cached?_(.*)", (r"new_cached_\1", r"new_cache_\1", r"next_cache_\1", r"out_cache_\1")),
    (r"(.+)_in((?:_?\d+)?)", (r"\1_out\2",)),
    (r"in_(.+)", (r"out_\1",)),
    (r"input_(.+)", (r"output_\1",)),
    (r"(?:prev|previous|old)_(.+)", (r"next_\1", r"new_\1", r"\1")),
    (r"(?:init|initial)_(.+)", (r"final_\1", r"last_\1", r"next_\1", r"\1")),
    (r"(.+)", (r"next_\1", r"new_\1", r"\1_next", r"\1_new", r"\1_out", r"out_\1", r"\1N", r"\1n")),
    (r"([a-z]+)_?0", (r"\1n", r"\1_n", r"\1N", r"\1_out")),
)


def guess_states(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[StatePair, ...]:
    """Pair inputs with outputs whose name says "the next of it" and whose shape and dtype fit."""
    free = {value.name: value for value in outputs}
    pairs = []
    for value in inputs:
        for name in _next_names(value.name):
            if name in free and _fits(value, free[name]):
                pairs.append(StatePair(value.name, name, guessed=True))
                del free[name]
                break
    return tuple(pairs)


def _next_names(name: str) -> Iterator[str]:
    for pattern, templates in _RULES:
        match = re.fullmatch(pattern, name)
        if match:
            yield from (match.expand(template) for template in templates)


def _fits(before: Value, after: Value) -> bool:
    """Say whether `after` could be fed as `before`: same dtype, no dimension contradicts."""
    if before.dtype != after.dtype:
        return False
    if before.shape is None or after.shape is None:
        return True
    return len(before.shape) == len(after.shape) and all(
        a == b or not (a.isdigit() and b.isdigit())
        for a, b in zip(before.shape, after.shape, strict=True)
    )
