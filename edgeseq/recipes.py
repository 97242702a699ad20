"""Recipes: how weights become a variant of a bundle, and what is promised of it."""

import difflib
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from edgeseq.contract import Tolerance
from edgeseq.errors import ConfigError, UsageError
from edgeseq.shipped import shipped
from edgeseq.specs import load_toml


@dataclass(frozen=True)
class Quantization:
    """How fp32 weights become smaller: integers through ONNX Runtime's quantizer, or halves."""

    method: Literal["dynamic", "half"]
    """`dynamic`: int8 weights in the file, activations quantized on the fly; no calibration. \
`half`: fp16 weights and arithmetic; of what follows, only `max_drop` is about it."""
    operators: tuple[str, ...] = ("LSTM", "MatMul")
    """Operators to quantize; a `GRU` becomes `MatMul` first. Only those that hold weights: the \
tool would also round the rotary table that `Gather` reads, and breaks the ONNX `Attention` \
operator."""
    weights: Literal["s8", "u8"] = "s8"
    """Type of the weights. ONNX Runtime's LSTM is signed whatever is asked for."""
    per_channel: bool = True
    """One scale a column instead of a tensor: half the noise, for a tenth more bytes and time."""
    reduce_range: bool = True
    """Use 7 of the 8 bits, so that products of two bytes do not saturate on x86 without VNNI."""
    portable: bool = True
    """Promise the same answer on every CPU: a file that could not keep it is not written."""
    int8_share: float = 0.9
    """Least share of the weights that must run in int8 in the optimised graph, 0 to 1; below it \
nothing is written, because the file would be int8 in name only."""
    max_drop: float = 0.5
    """Largest loss of the task's metric at which the variant may still be preferred: points \
where the metric is a percentage, else per cent of fp32's value."""

    @property
    def precision(self) -> Literal["int8", "fp16"]:
        """What the variant's precision is called."""
        return "fp16" if self.method == "half" else "int8"

    def __post_init__(self) -> None:
        """Refuse shares that are no shares and drops that are gains."""
        mistakes = []
        if not 0 < self.int8_share <= 1:
            mistakes.append(f"int8_share: {self.int8_share} is not above 0 and at most 1")
        if self.max_drop < 0:
            mistakes.append(f"max_drop: {self.max_drop} is negative")
        if not self.operators:
            mistakes.append("operators: is empty, so nothing would be quantized")
        if mistakes:
            raise ConfigError("quantize", mistakes)


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
