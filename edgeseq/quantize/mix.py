"""An assignment of schemes to weights, written as a recipe."""

import glob
from collections.abc import Mapping
from dataclasses import replace

from edgeseq.contract import Tolerance
from edgeseq.quantize.search import FP32, Assignment
from edgeseq.recipes import Quantization, Recipe, Scheme

BITS: dict[Scheme, int] = {"weights4": 4, "weights8": 8, "dynamic": 8, "static": 8, "fp32": 32}
"""What a value of a weight takes in the file, scales aside."""
READS: dict[Scheme, tuple[str, ...]] = {
    "dynamic": ("weights", "per_channel", "reduce_range", "fit_pairs"),
    "static": ("per_channel", "reduce_range", "fit_pairs", "calibration"),
    "weights8": ("block",),
    "weights4": ("block",),
}
"""Parameters of a quantization that a scheme reads."""
SHARE = 0.9
"""Of the weights that are to run in integers, how many have to."""


def mix(
    assignment: Assignment,
    bases: Mapping[Scheme, Recipe],
    elements: Mapping[str, int],
    *,
    name: str,
    summary: str,
) -> Recipe:
    """Return the recipe that gives every weight its scheme.

    Args:
        assignment: the scheme of every weight; not all of them fp32.
        bases: of each scheme but fp32 a recipe of it, whose parameters it keeps.
        elements: values of each weight.
        name: what the recipe is called.
        summary: one line for lists.
    """
    sizes: dict[Scheme, int] = {}
    for weight, scheme in assignment.items():
        if scheme != FP32:
            sizes[scheme] = sizes.get(scheme, 0) + elements[weight]
    usual = max(sizes, key=lambda scheme: (sizes[scheme], scheme))
    others = {
        glob.escape(weight): scheme for weight, scheme in assignment.items() if scheme != usual
    }
    integers = sum(sizes.values()) / sum(elements[weight] for weight in assignment)
    used = [bases[scheme] for scheme in sizes]
    how = replace(
        _parameters(usual, sizes, bases),
        nodes=others,
        int8_share=round(SHARE * integers, 4),
        portable=all(quantization(recipe).portable for recipe in used),
    )
    return Recipe(
        name=name,
        summary=summary,
        tolerance=_loosest([recipe.tolerance for recipe in used]),
        gate_steps=max(recipe.gate_steps for recipe in used),
        quantize=how,
    )


def _parameters(
    usual: Scheme, sizes: Mapping[Scheme, int], bases: Mapping[Scheme, Recipe]
) -> Quantization:
    """Return the usual scheme's parameters, and from other bases those that it does not read."""
    how = quantization(bases[usual])
    taken = set(READS[usual])
    for scheme in READS:
        if scheme in sizes:
            own = quantization(bases[scheme])
            new = [name for name in READS[scheme] if name not in taken]
            how = replace(how, **{name: getattr(own, name) for name in new})
            taken |= set(new)
    return how


def quantization(recipe: Recipe) -> Quantization:
    """Return the quantization of a recipe that has one."""
    if recipe.quantize is None:
        raise ValueError(f"{recipe.name} does not quantize")
    return recipe.quantize


def _loosest(tolerances: list[Tolerance]) -> Tolerance:
    return Tolerance(
        relative_error=max(one.relative_error for one in tolerances),
        noise=max(one.noise for one in tolerances),
        changed_decisions=max(one.changed_decisions for one in tolerances),
    )
