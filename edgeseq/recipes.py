"""Recipes: how weights become a variant of a bundle, and what is promised of it."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, get_args

from edgeseq.contract import Tolerance
from edgeseq.errors import ConfigError, UsageError
from edgeseq.shipped import shipped
from edgeseq.specs import load_toml

Scheme = Literal["fp32", "dynamic", "static", "weights8", "weights4"]
"""How the product with one weight runs: in floats, or in integers whose activations are quantized \
on the fly, by calibrated ranges, or block by block by a kernel that only stores the weights so."""

Precision = Literal["int8", "int4", "mixed", "fp16"]
"""What a quantized variant is called after."""
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

BLOCKS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Calibration:
    """How the ranges of activations are found, which only `static` needs beforehand."""

    ranges: Literal["minmax", "percentile", "entropy", "mse"] = "minmax"
    """Which range to take from the values seen: all, all but the rarest, the one that keeps most \
of their distribution, or the one with the least squared error."""
    percentile: float = 99.99
    """Share of the values that `percentile` keeps, per cent."""
    state: Literal["rolling", "zero"] = "rolling"
    """Carry state from frame to frame, as in the app; `zero` starts every frame from the reset \
state, to show what that loses."""
    streams: int = 32
    """Recordings of the training set that are streamed."""
    shortest: int = 16
    """Frames of the shortest stream: after a reset, states are small."""
    longest: int = 2048
    """Frames of the longest stream."""
    seed: int = 0
    """Of the draw of recordings, starts and lengths."""

    def __post_init__(self) -> None:
        """Refuse draws that draw nothing, all mistakes at once."""
        mistakes = [
            f"{name}: {getattr(self, name)} is not at least 1"
            for name in ("streams", "shortest")
            if getattr(self, name) < 1
        ]
        if not 50 < self.percentile <= 100:
            mistakes.append(f"percentile: {self.percentile} is not above 50 and at most 100")
        if self.longest < self.shortest:
            mistakes.append(f"longest: {self.longest} is less than shortest: {self.shortest}")
        if self.seed < 0:
            mistakes.append(f"seed: {self.seed} is negative")
        if mistakes:
            raise ConfigError("calibration", mistakes)


@dataclass(frozen=True)
class Quantization:
    """How fp32 weights become smaller: one scheme for all of them, and exceptions by name."""

    method: Literal["dynamic", "static", "weights", "half"]
    """`dynamic`: int8 weights in the file, activations quantized on the fly; no calibration. \
`static`: the ranges of activations are in the file, found by calibration. `weights`: blocks of \
weights with a scale each, for a kernel that needs no ranges. `half`: fp16 weights and arithmetic; \
of what follows, only `max_drop` is about it."""
    bits: Literal[8, 4] = 8
    """Bits of a weight; 4 only with the method `weights`."""
    block: int = 128
    """Weights of a column that share one scale where they are stored in blocks: 16, 32, 64, 128 \
or 256. Shorter ones err less and cost bytes."""
    nodes: dict[str, Scheme] = field(default_factory=dict)
    """Weights that take another scheme: patterns of their names, such as `"W*"` or \
`"blocks.0.*|head"`, to `fp32`, `dynamic`, `static`, `weights8` or `weights4`; the first that \
matches counts, and each must match. The variant is then called `mixed`."""
    calibration: Calibration = field(default_factory=Calibration)
    """How ranges are found, for weights whose scheme is `static`."""
    weights: Literal["s8", "u8"] = "s8"
    """Type of the weights where activations are quantized on the fly. ONNX Runtime's LSTM is \
signed whatever is asked for."""
    per_channel: bool = True
    """One scale a column instead of a tensor: half the noise, for a tenth more bytes and time."""
    reduce_range: bool = True
    """Use 7 of the 8 bits, so that products of two bytes do not saturate on x86 without VNNI."""
    fit_pairs: bool = False
    """Instead of 7 bits for all, make each scale as fine as two neighbouring weights allow: as \
portable, a third finer. For signed weights whose activations are quantized on the fly."""
    portable: bool = True
    """Promise the same answer on every CPU: a file that could not keep it is not written."""
    int8_share: float = 0.9
    """Least share of the weights that must run in integers in the optimised graph, 0 to 1; below \
it nothing is written, because the file would be int8 in name only."""
    max_drop: float = 0.5
    """Largest loss of the task's metric at which the variant may still be preferred: points \
where the metric is a percentage, else per cent of fp32's value."""

    @property
    def precision(self) -> Precision:
        """What the variant's precision is called."""
        if self.method == "half":
            return "fp16"
        if any(scheme != self._usual for scheme in self.nodes.values()):
            return "mixed"
        return "int4" if self.bits == 4 else "int8"

    def scheme(self, weight: str) -> Scheme:
        """Return how the product with the weight of this name runs."""
        matching = (scheme for pattern, scheme in self.nodes.items() if matches(weight, pattern))
        return next(matching, self._usual)

    @property
    def calibrated(self) -> bool:
        """Whether recordings are needed to find ranges."""
        return "static" in (self._usual, *self.nodes.values())

    @property
    def _usual(self) -> Scheme:
        if self.method == "weights":
            return "weights4" if self.bits == 4 else "weights8"
        return "fp32" if self.method == "half" else self.method

    def __post_init__(self) -> None:
        """Refuse what nothing could do, all mistakes at once."""
        mistakes = [*self._wrong_schemes()]
        if self.bits not in (8, 4):
            mistakes.append(f"bits: {self.bits} is not 8 or 4")
        elif self.bits == 4 and self.method != "weights":
            mistakes.append(f'bits: 4 needs method = "weights"; {self.method} has 8 only')
        if self.block not in BLOCKS:
            mistakes.append(f"block: {self.block} is not one of {', '.join(map(str, BLOCKS))}")
        if self.fit_pairs and self.weights != "s8":
            mistakes.append("fit_pairs: is about s8 weights; u8 ones do not saturate")
        if not 0 < self.int8_share <= 1:
            mistakes.append(f"int8_share: {self.int8_share} is not above 0 and at most 1")
        if self.max_drop < 0:
            mistakes.append(f"max_drop: {self.max_drop} is negative")
        if mistakes:
            raise ConfigError("quantize", mistakes)

    def _wrong_schemes(self) -> Iterator[str]:
        if self.nodes and self.method == "half":
            yield "nodes: the method half knows no exceptions"
        for pattern, scheme in self.nodes.items():
            if not all(pattern.split("|")):
                yield f'nodes: "{pattern}" has an empty pattern; write the name of a weight'
            if scheme not in SCHEMES:
                yield f"nodes.{pattern}: {scheme!r} is not one of {', '.join(SCHEMES)}"


def matches(weight: str, pattern: str) -> bool:
    """Say whether the name of a weight matches one of the patterns that `|` parts."""
    return any(fnmatchcase(weight, part) for part in pattern.split("|"))


@dataclass(frozen=True)
class Recipe:
    """One file `export/recipes/NAME.toml`; NAME is the name used everywhere."""

    name: str
    """Same as the file's name."""
    summary: str
    """One line for lists."""
    tolerance: Tolerance
    """What `check` holds the variant to, against the whole-sequence reference."""
    gate_steps: int = 10_000
    """Real frames that are streamed and compared before the variant is recorded."""
    quantize: Quantization | None = None
    """How weights are quantized; none: they stay as they are, and the recipe is one for export."""

    def __post_init__(self) -> None:
        """Refuse promises that cannot be kept or broken."""
        mistakes = []
        if self.gate_steps < 1:
            mistakes.append(f"gate_steps: {self.gate_steps} is not at least 1")
        mistakes += [
            f"tolerance.{name}: must be above 0"
            for name in ("relative_error", "noise")
            if not getattr(self.tolerance, name) > 0
        ]
        if not 0 <= self.tolerance.changed_decisions <= 1:
            mistakes.append("tolerance.changed_decisions: is a share, 0 to 1")
        if mistakes:
            raise ConfigError(self.name, mistakes)


def list_recipes() -> tuple[str, ...]:
    """Return the names of all shipped recipes, sorted."""
    files = (shipped("export") / "recipes").iterdir()
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    )


def load_recipe(name: str | Path) -> Recipe:
    """Load the shipped recipe `name`, or the file `name` that ends in `.toml`.

    Raises:
        UsageError: there is no such recipe.
        ConfigError: the file has mistakes; all of them are named.
    """
    file = _file(str(name))
    recipe = load_toml(file, Recipe)
    if f"{recipe.name}.toml" != file.name:
        raise ConfigError(str(file), [f'name: "{recipe.name}" differs from the file\'s name'])
    return recipe


def load_quantization(name: str | Path) -> tuple[Recipe, Quantization]:
    """Load a recipe that quantizes, with its quantization; any other is a `UsageError`."""
    recipe = load_recipe(name)
    if recipe.quantize is None:
        raise UsageError(
            f'the recipe "{recipe.name}" does not quantize: it has no [quantize]. '
            "Try: --recipe int8-dynamic"
        )
    return recipe, recipe.quantize


def _file(name: str) -> Traversable:
    if name.endswith(".toml"):
        return Path(name)
    names = list_recipes()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        raise UsageError(f'there is no recipe "{name}".{hint} There are: {", ".join(names)}')
    return shipped("export") / "recipes" / f"{name}.toml"
